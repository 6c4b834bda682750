/** `pnpm bench [NAME...]`: measures, prints, and writes what it printed into test/bench/README.md. Never fails for being slow. */
import { benches } from './benches.ts';
import { recordResult, renderResult } from './report.ts';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`bench: unknown: ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  process.exit(1);
}
for (const [name, run] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const result = await run((line) => console.log(line));
  const text = renderResult(result);
  console.log(`\n${text}\n`);
  recordResult(name, text, new Date().toISOString().slice(0, 10));
}
