/** The stages of `npm test`, in order: quick ones first, so that a mistake shows early. */
export interface Stage {
  readonly name: string;
  readonly kind: 'check' | 'vitest';
  readonly argv: readonly string[];
  /** Run before the stage, with the machine's own network: fetches and builds what the tests need. Its failure is the stage's. */
  readonly prepare?: readonly string[];
  /** Runs in network, mount, process and cgroup namespaces of its own: it cannot disturb a cluster that runs here, nor leave anything behind. */
  readonly isolated?: boolean;
  /** Why the stage cannot run here; its tests then count as one skip. */
  readonly unavailable?: string;
}

export interface Machine {
  readonly root: boolean;
  /** Why no program can have namespaces of its own here; `undefined`: it can. */
  readonly isolationUnavailable: string | undefined;
}

/** Checks count as one test each; a vitest stage counts its tests. */
export function planStages({ root, isolationUnavailable }: Machine): readonly Stage[] {
  const needsRoot = root ? {} : { unavailable: 'needs root: it makes namespaces, mounts and cgroups' };
  const needsIsolation = isolationUnavailable === undefined ? {} : { unavailable: isolationUnavailable };
  return [
    { name: 'types', kind: 'check', argv: ['tsc', '--noEmit', '-p', 'infra/tsconfig.json'] },
    { name: 'lint', kind: 'check', argv: ['biome', 'check', '.'] },
    {
      name: 'import direction',
      kind: 'check',
      argv: ['depcruise', '--config', '.dependency-cruiser.cjs', '--no-cache', 'packages', 'apps', 'test'],
    },
    { name: 'units', kind: 'vitest', argv: ['vitest', 'run', '--config', 'test/runner/vitest/units.config.ts'] },
    { name: 'node', kind: 'vitest', argv: ['vitest', 'run', '--config', 'test/runner/vitest/node.config.ts'], ...needsRoot },
    {
      name: 'end to end',
      kind: 'vitest',
      argv: ['vitest', 'run', '--config', 'test/runner/vitest/e2e.config.ts'],
      prepare: ['tsx', 'test/e2e/src/prepare.ts'],
      isolated: true,
      ...needsIsolation,
    },
    {
      name: 'lab',
      kind: 'vitest',
      argv: ['vitest', 'run', '--config', 'test/runner/vitest/lab.config.ts'],
      prepare: ['tsx', 'test/lab/src/prepare.ts'],
      isolated: true,
      ...needsIsolation,
    },
  ];
}
