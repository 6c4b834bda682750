import { examine, type Finding } from '../doctor/findings.ts';
import { readHostFacts } from '../doctor/host-facts.ts';

/** Prints what this machine has and lacks. Gives the exit code: 1 when Dure cannot run here. */
export async function runDoctor(dataDir: string, json: boolean, wallMs: number, write: (line: string) => void): Promise<number> {
  const findings = examine(await readHostFacts(dataDir, wallMs));
  write(json ? JSON.stringify(findings, null, 2) : findings.map(renderFinding).join('\n'));
  return findings.some(({ level }) => level === 'error') ? 1 : 0;
}

function renderFinding({ level, subject, message, remedy }: Finding): string {
  const mark = { ok: 'ok      ', warning: 'warning ', error: 'ERROR   ' }[level];
  return `${mark}${subject}: ${message}${remedy === undefined ? '' : `; ${remedy}`}`;
}
