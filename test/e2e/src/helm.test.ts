import { fileURLToPath } from 'node:url';
import { helmPath, helmUnavailable, runCommand } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable } from './addresses.ts';
import { OneNode } from './one-node.ts';

const unavailable = clusterUnavailable() ?? (await helmUnavailable());
const CHART = fileURLToPath(new URL('../charts/shop', import.meta.url));

interface Release {
  readonly name: string;
  readonly revision: string;
  readonly status: string;
}

describe.skipIf(unavailable !== undefined)(`Helm${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let one: OneNode;
  let program: string;

  beforeAll(async () => {
    program = await helmPath();
    one = await OneNode.start();
    await one.kubectl.run(['create', 'namespace', 'market']);
  });
  afterAll(() => one?.[Symbol.asyncDispose]());

  const helm = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await runCommand(program, [...args, '--namespace', 'market'], { env: one.kubectl.env, timeoutMs: 120_000 });
    return stdout;
  };
  const images = (web: string): readonly string[] => ['--set', `image.web=${one.image(web)},image.tools=${one.image('tools:1')}`];
  const get = (...args: readonly string[]): Promise<string> => one.kubectl.run(['-n', 'market', 'get', ...args]);

  it('installs a chart with definitions, a hook and what depends on them, and waits until it serves', async () => {
    const said = await helm('install', 'shop', CHART, ...images('web:1'), '--wait', '--timeout', '60s');
    expect(said).toMatch(/STATUS: deployed[\s\S]*hello from shop on v1\.36/);
    expect(await get('deployment', 'shop-web', '-o', 'jsonpath={.status.readyReplicas}')).toBe('2');
    expect(await get('tl', 'shop', '-o', 'jsonpath={.spec.drawer}')).toBe('2');
    expect(await get('hpa', 'shop-web', '-o', 'jsonpath={.spec.maxReplicas}')).toBe('5');
    expect(await one.kubectl.run(['-n', 'market', 'logs', 'shop-prepare'])).toBe('prepared revision 1\n');
  });

  it('runs the tests of a release', async () => {
    expect(await helm('test', 'shop', '--timeout', '60s')).toMatch(/TEST SUITE:\s+shop-answers[\s\S]*Phase:\s+Succeeded/);
  });

  it('upgrades what changed, keeps what it looked up, and tells the difference from a dry run', async () => {
    const key = await get('secret', 'shop-key', '-o', 'jsonpath={.data.key}');
    const change = ['upgrade', 'shop', CHART, ...images('web:2'), '--set', 'greeting=welcome,replicas=3'];
    expect(await helm(...change, '--dry-run=server')).toContain('greeting: "welcome"');
    expect(await get('configmap', 'shop-settings', '-o', 'jsonpath={.data.greeting}')).toBe('hello');
    await helm(...change, '--wait', '--timeout', '60s');
    expect(await get('configmap', 'shop-settings', '-o', 'jsonpath={.data.greeting}')).toBe('welcome');
    expect(await get('deployment', 'shop-web', '-o', 'jsonpath={.status.updatedReplicas}')).toBe('3');
    expect(await get('tl', 'shop', '-o', 'jsonpath={.spec.drawer}')).toBe('3');
    expect(await get('secret', 'shop-key', '-o', 'jsonpath={.data.key}')).toBe(key);
  });

  it('says what the server refuses, and leaves the release as it was', async () => {
    const refused = await helm('upgrade', 'shop', CHART, ...images('web:2'), '--set', 'replicas=0', '--timeout', '60s').catch(
      ({ message }: Error) => message,
    );
    expect(refused).toContain('spec.drawer: Invalid value: 0: spec.drawer in body should be greater than or equal to 1');
    expect(await get('tl', 'shop', '-o', 'jsonpath={.spec.drawer}')).toBe('3');
  });

  it('rolls back, lists its history and uninstalls all but the definitions', async () => {
    await helm('rollback', 'shop', '1', '--wait', '--timeout', '60s');
    expect(await get('configmap', 'shop-settings', '-o', 'jsonpath={.data.greeting}')).toBe('hello');
    const history = JSON.parse(await helm('history', 'shop', '-o', 'json')) as readonly Release[];
    expect(history.map(({ revision, status }) => `${revision} ${status}`)).toEqual([
      '1 superseded',
      '2 superseded',
      '3 failed',
      '4 deployed',
    ]);
    await helm('uninstall', 'shop', '--wait', '--timeout', '60s');
    expect(JSON.parse(await helm('list', '--all', '-o', 'json'))).toEqual([]);
    expect(
      await get('deployments,services,configmaps,secrets,ingresses,tills', '-l', 'app.kubernetes.io/instance=shop', '-o', 'name'),
    ).toBe('');
    expect(await one.kubectl.run(['get', 'crd', 'tills.shop.example.com', '-o', 'name'])).toContain('tills.shop.example.com');
  });
});
