import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import type { Tally } from './tally.ts';

/**
 * Counts a vitest run into the file named by DURE_TALLY and says of each skipped test why.
 * A skip that gives no reason counts as failed, since nobody could tell it from a hidden failure.
 */
export class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      // A file that fails to load has no tests; its errors would otherwise be counted nowhere.
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'skipped') {
          const reason = result.note ?? reasonInName(test.fullName);
          console.log(`skipped: ${module.relativeModuleId}: ${test.fullName}: ${reason ?? 'NO REASON STATED (counted as failed)'}`);
          if (reason === undefined) failed += 1;
          else skipped += 1;
        } else failed += 1;
      }
    }
    const path = process.env.DURE_TALLY;
    if (path !== undefined) writeFileSync(path, JSON.stringify({ passed, failed, skipped } satisfies Tally));
  }
}

/** Suites skipped as a whole carry their reason in their name: `... [skipped: needs root]`. */
function reasonInName(fullName: string): string | undefined {
  return /\[skipped: ([^\]]+)\]/.exec(fullName)?.[1];
}
