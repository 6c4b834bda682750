/** The stages of `npm test`, in order: quick ones first, so that a mistake shows early. */
export interface Stage {
  readonly name: string;
  readonly kind: 'check' | 'vitest';
  readonly argv: readonly string[];
  /** Why the stage cannot run here; its tests then count as one skip. */
  readonly unavailable?: string;
}

export interface Machine {
  readonly root: boolean;
}

/** Checks count as one test each; a vitest stage counts its tests. */
export function planStages({ root }: Machine): readonly Stage[] {
  const needsRoot = root ? {} : { unavailable: 'needs root: it makes namespaces, mounts and cgroups' };
  return [
    { name: 'types', kind: 'check', argv: ['tsc', '--noEmit', '-p', 'tsconfig.json'] },
    { name: 'lint', kind: 'check', argv: ['biome', 'check', '.'] },
    {
      name: 'import direction',
      kind: 'check',
      argv: ['depcruise', '--config', '.dependency-cruiser.cjs', '--no-cache', 'packages', 'apps', 'test'],
    },
    { name: 'units', kind: 'vitest', argv: ['vitest', 'run', '--config', 'vitest.config.ts'] },
    { name: 'node', kind: 'vitest', argv: ['vitest', 'run', '--config', 'vitest.node.config.ts'], ...needsRoot },
    { name: 'end to end', kind: 'vitest', argv: ['vitest', 'run', '--config', 'vitest.e2e.config.ts'], ...needsRoot },
  ];
}
