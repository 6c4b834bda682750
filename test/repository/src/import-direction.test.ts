import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { repositoryRoot } from './tracked-files.ts';

const planted: string[] = [];

function cruise(path: string): { code: number | null; output: string } {
  const run = spawnSync(join(repositoryRoot, 'node_modules/.bin/depcruise'), ['--config', '.dependency-cruiser.cjs', '--no-cache', path], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  return { code: run.status, output: run.stdout + run.stderr };
}

/** Writes a file into a fresh folder of the workspace and gives the folder's path. */
function plant(workspace: string, source: string): string {
  const folder = mkdtempSync(join(repositoryRoot, workspace, 'src', 'planted-'));
  planted.push(folder);
  writeFileSync(join(folder, 'planted.ts'), source);
  return folder.slice(repositoryRoot.length);
}

afterEach(() => {
  for (const folder of planted.splice(0)) rmSync(folder, { recursive: true });
});

describe('import direction', () => {
  // A cruiser that cannot read TypeScript reports nothing and exits green; these show that it can.
  it('reports a package that reaches up, also by a type-only import', () => {
    const { code, output } = cruise(
      plant('packages/client', "import type { Store } from '../../../store/src/contract.ts';\nexport type Planted = Store;\n"),
    );
    expect(output).toContain('client-stands-on-what-is-below');
    expect(code).not.toBe(0);
  });

  it('reports an import of an app', () => {
    const { code, output } = cruise(plant('apps/cli', "import '../../../control-plane/src/config.ts';\n"));
    expect(output).toContain('nobody-imports-an-app');
    expect(code).not.toBe(0);
  });

  it('lets through what is declared and points down', () => {
    const { code, output } = cruise(plant('packages/client', "import type { Pod } from '@dure/api';\nexport type Planted = Pod;\n"));
    expect(output).toContain('no dependency violations found');
    expect(code).toBe(0);
  });
});
