/**
 * Imports point down (ARCHITECTURE.md). Each workspace names what it may stand on; everything else of ours is refused.
 * Needs TypeScript 6 beside version 7, which has no JavaScript API: see packageExtensions in pnpm-workspace.yaml.
 */
const standsOn = {
  foundation: [],
  api: ['foundation'],
  client: ['foundation', 'api'],
  reconcile: ['foundation', 'api', 'client'],
  scheduler: ['foundation', 'api', 'client', 'reconcile'],
  controllers: ['foundation', 'api', 'client', 'reconcile', 'pki'],
  kubelet: ['foundation', 'api', 'client', 'reconcile', 'runtime', 'images', 'network'],
  apiserver: ['foundation', 'api', 'store', 'pki'],
  store: ['foundation'],
  pki: ['foundation'],
  images: ['foundation'],
  runtime: ['foundation'],
  network: ['foundation'],
  dns: ['foundation'],
};

const directions = Object.entries(standsOn).map(([name, allowed]) => ({
  name: `${name}-stands-on-what-is-below`,
  comment: `packages/${name} may import ${allowed.join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: { path: `^packages/${name}/` },
  to: { path: '^(packages|apps|test)/', pathNot: [`^packages/${name}/`, ...allowed.map((below) => `^packages/${below}/`)] },
}));

module.exports = {
  forbidden: [
    ...directions,
    {
      name: 'nobody-imports-an-app',
      severity: 'error',
      from: { path: '^(packages|apps)/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^$1/$2/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    {
      name: 'production-code-needs-no-test-code',
      severity: 'error',
      from: { path: '^(packages|apps)/[^/]+/src/', pathNot: ['\\.test\\.ts$', '/testing/'] },
      to: { path: ['\\.test\\.ts$', '^(packages|apps)/[^/]+/src/testing/', '^test/'] },
    },
    { name: 'what-is-imported-is-declared', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|build|node_modules)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.cjs', '.js', '.json'],
    },
  },
};
