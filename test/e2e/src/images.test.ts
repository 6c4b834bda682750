import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  busyboxImage,
  eventually,
  type Kubectl,
  pushImage,
  runCommand,
  scratchImage,
  startRegistry,
  type TestRegistry,
  toolsImage,
  writeDockerArchive,
  writeLayoutArchive,
} from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable } from './addresses.ts';
import { list, podObject } from './manifests.ts';
import { OneNode } from './one-node.ts';

const unavailable = clusterUnavailable();
const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));
const CREDENTIALS = { username: 'reader', password: 'right' };

interface PodShape {
  readonly status: {
    readonly phase: string;
    readonly containerStatuses?: readonly {
      readonly image: string;
      readonly imageID: string;
      readonly state: { readonly waiting?: { readonly reason: string; readonly message?: string }; readonly running?: object };
    }[];
  };
}

describe.skipIf(unavailable !== undefined)(`images on a node${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let one: OneNode;
  let kubectl: Kubectl;
  let locked: TestRegistry;

  beforeAll(async () => {
    await runCommand('ip', ['link', 'set', 'lo', 'up']);
    locked = await startRegistry({ credentials: CREDENTIALS });
    await pushImage(await busyboxImage(), { url: locked.url, repository: 'private/busybox', tag: '1', credentials: CREDENTIALS });
    await pushImage(await scratchImage(), { url: locked.url, repository: 'private/unshared', tag: '1', credentials: CREDENTIALS });
    one = await OneNode.start({ registries: { [locked.host]: { plainHttp: true } } });
    kubectl = one.kubectl;
    await pushImage(await scratchImage(), { url: one.registry.url, repository: 'scratch', tag: '1' });
    await kubectl.run([
      ...['create', 'secret', 'docker-registry', 'right', `--docker-server=${locked.host}`],
      ...[`--docker-username=${CREDENTIALS.username}`, `--docker-password=${CREDENTIALS.password}`],
    ]);
    await kubectl.run([
      ...['create', 'secret', 'docker-registry', 'wrong', `--docker-server=${locked.host}`],
      ...['--docker-username=reader', '--docker-password=wrong'],
    ]);
    await kubectl.apply(list(...objects(one, locked)));
  });

  afterAll(async () => {
    await one?.[Symbol.asyncDispose]();
    await locked?.[Symbol.asyncDispose]();
  });

  const waiting = (name: string, reason: string): Promise<{ readonly reason: string; readonly message?: string }> =>
    eventually(`${name} to wait for ${reason}`, async () => {
      const { status } = await kubectl.json<PodShape>(['get', 'pod', name]);
      const found = status.containerStatuses?.[0]?.state.waiting;
      return found?.reason === reason ? found : undefined;
    });
  const eventsOf = async (name: string): Promise<string> =>
    kubectl.run(['events', '--for', `pod/${name}`, '--no-headers']).then((text) => text.replace(/ +/g, ' '));

  it('says that an image is not there, then backs off', async () => {
    const { message } = await waiting('absent', 'ImagePullBackOff');
    expect(message).toMatch(
      new RegExp(
        `^Back-off pulling image "${one.registry.host}/absent:1": ErrImagePull: .*has no such image, tag or digest.*MANIFEST_UNKNOWN`,
      ),
    );
    // The recorder is a moment behind the status.
    for (const line of [
      `Normal Pulling Pod/absent Pulling image "${one.registry.host}/absent:1"`,
      `Warning Failed Pod/absent Failed to pull image "${one.registry.host}/absent:1": `,
      'Warning Failed Pod/absent Error: ErrImagePull',
      `Normal BackOff Pod/absent Back-off pulling image "${one.registry.host}/absent:1"`,
      'Warning Failed Pod/absent Error: ImagePullBackOff',
    ])
      await eventually(line, async () => ((await eventsOf('absent')).includes(line) ? true : undefined));
    expect(await kubectl.run(['get', 'pod', 'absent'])).toContain('ImagePullBackOff');
    expect(await kubectl.fails(['logs', 'absent'])).toContain('is waiting to start: trying and failing to pull image');
  });

  it('starts once the image is there', async () => {
    await pushImage(await scratchImage(), { url: one.registry.url, repository: 'absent', tag: '1' });
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/absent', '--timeout=60s']);
  });

  it('refuses names that are none, and says so', async () => {
    expect((await waiting('misnamed', 'InvalidImageName')).message).toBe(
      'Failed to apply default image tag "Not a name": couldn\'t parse image name "Not a name": invalid reference format',
    );
    expect(await eventsOf('misnamed')).toContain('Warning InspectFailed Pod/misnamed Failed to apply default image tag');
  });

  it('pulls as the policy says', async () => {
    const never = await waiting('never', 'ErrImageNeverPull');
    expect(never.message).toBe(`Container image "${one.registry.host}/never:1" is not present with pull policy of Never`);
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/present', 'pod/always', '--timeout=60s']);
    await kubectl.apply(list(podObject('present-2', one.image('library/busybox:1.37'), { command: ['sleep', '3600'] })));
    await kubectl.apply(
      list(
        podObject('always-2', one.image('library/busybox:1.37'), { command: ['sleep', '3600'], container: { imagePullPolicy: 'Always' } }),
      ),
    );
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/present-2', 'pod/always-2', '--timeout=60s']);
    expect(await eventsOf('present-2')).toContain(`Container image "${one.image('library/busybox:1.37')}" already present on machine`);
    expect(await eventsOf('always-2')).toMatch(
      /Successfully pulled image ".+" in [\d.]+m?s \([\d.]+m?s including waiting\)\. Image size: \d+ bytes\./,
    );
    const { status } = await kubectl.json<PodShape>(['get', 'pod', 'present-2']);
    expect(status.containerStatuses?.[0]?.imageID).toMatch(/library\/busybox@sha256:[0-9a-f]{64}$/);
  });

  it('pulls with the secrets of the Pod or its ServiceAccount, and not with wrong or no ones', async () => {
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/with-secret', '--timeout=60s']);
    expect((await waiting('without-secret', 'ImagePullBackOff')).message).toMatch(/401.*no credentials were given/);
    expect((await waiting('wrong-secret', 'ImagePullBackOff')).message).toMatch(/401/);
    await kubectl.run(['patch', 'serviceaccount', 'default', '-p', '{"imagePullSecrets":[{"name":"right"}]}']);
    await kubectl.apply(list(podObject('of-account', `${locked.host}/private/busybox:1`, { command: ['sleep', '3600'] })));
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/of-account', '--timeout=60s']);
    await kubectl.run(['patch', 'serviceaccount', 'default', '-p', '{"imagePullSecrets":null}']);
    const { status } = await kubectl.json<PodShape>(['get', 'pod', 'of-account']);
    expect(status.containerStatuses?.[0]?.imageID).toMatch(/private\/busybox@sha256:/);
    // That somebody else's secret brought it here opens it to nobody.
    await kubectl.apply(list(podObject('sneaking', `${locked.host}/private/busybox:1`, { container: { imagePullPolicy: 'Always' } })));
    await waiting('sneaking', 'ImagePullBackOff');
  });

  it('runs an image of one static program, and one by digest', async () => {
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/scratch', '--timeout=60s']);
    // It has no /etc, and finds there what every Pod finds.
    expect(await kubectl.run(['exec', 'scratch', '--', '/busybox', 'ls', '/etc'])).toMatch(/hostname[\s\S]*hosts[\s\S]*resolv\.conf/);
    const digest = (await kubectl.json<PodShape>(['get', 'pod', 'scratch'])).status.containerStatuses?.[0]?.imageID ?? '';
    await kubectl.apply(list(podObject('by-digest', digest)));
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/by-digest', '--timeout=60s']);
    expect(await eventsOf('by-digest')).toContain('already present on machine');
  });

  it('is looked after by dure image', async () => {
    const dure = (...args: string[]): Promise<string> => one.cluster.dure('image', ...args);
    expect(await dure('ls')).toContain(one.image('library/busybox:1.37'));
    await dure('pull', one.image('web:2'));
    expect(await dure('ls')).toMatch(new RegExp(`${one.image('web:2')}\\s+sha256:\\S+\\s+[\\d.]+ MB`));
    await dure('rm', one.image('web:2'));
    expect(await dure('ls')).not.toContain(one.image('web:2'));
    await expect(dure('pull', one.image('nothing:1'))).rejects.toThrow(/has no such image/);
    await expect(dure('rm', one.image('nothing:1'))).rejects.toThrow(/nothing:1/);

    const [layout, docker] = [join(one.scratch, 'layout.tar'), join(one.scratch, 'docker.tar')];
    await writeLayoutArchive(await scratchImage(), 'local.example/from-layout:1', layout);
    await writeDockerArchive(await toolsImage(), 'local.example/from-docker:1', docker);
    await dure('import', layout);
    await dure('import', docker);
    for (const name of ['local.example/from-docker:1', 'local.example/from-layout:1']) expect(await dure('ls')).toContain(name);
    await kubectl.apply(list(podObject('imported', 'local.example/from-docker:1'), podObject('imported-2', 'local.example/from-layout:1')));
    await kubectl.run(['wait', '--for=condition=Ready', 'pod/imported', 'pod/imported-2', '--timeout=60s']);
    expect(await eventsOf('imported')).toContain('already present on machine');
  });

  it('behaves in the examples as they say', async () => {
    const example = (name: string): string => join(EXAMPLES, `${name}.yaml`);
    for (const name of ['web', 'once', 'shared', 'host']) await kubectl.run(['apply', '-f', example(name)]);
    expect(await kubectl.run(['rollout', 'status', 'deployment/web', '--timeout=90s'])).toContain('successfully rolled out');
    expect(
      await kubectl.run([
        'run',
        '-i',
        '--rm',
        '--quiet',
        'ask',
        '--image=busybox:1.37',
        '--restart=Never',
        '--',
        'wget',
        '-qO-',
        'http://web',
      ]),
    ).toContain('dure web 1');
    await kubectl.run(['wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/once', '--timeout=60s']);
    expect(await kubectl.run(['logs', '-f', 'once'])).toBe('1 of 3\n2 of 3\n3 of 3\ndone\n');
    expect(await kubectl.run(['get', 'pod', 'once'])).toContain('Completed');
    await one.ready('shared', 'host');
    await eventually('the reader', async () =>
      /^prepared\n.* hello from the writer\n/.test(await kubectl.run(['logs', 'shared', '-c', 'reader'])) ? true : undefined,
    );
    await eventually('the load', async () => (/^\d+\.\d+ \d+\.\d+/.test(await kubectl.run(['logs', 'host'])) ? true : undefined));
    // The root file system of the node, without the secrets of cluster and node, under a layer of its own.
    expect(await one.inside('host', 'ls /root; echo mine > /etc/written-by-pod; cat /etc/written-by-pod')).toBe('mine\n');
    await expect(runCommand('cat', ['/etc/written-by-pod'])).rejects.toThrow(/No such file/);
    expect(await one.inside('host', `ls ${one.cluster.dataDir} 2>&1 | wc -l; cat /etc/shadow 2>&1 | grep -c root: || true`)).toMatch(
      /^[01]\n0\n$/,
    );
    for (const name of ['web', 'once', 'shared', 'host']) await kubectl.run(['delete', '-f', example(name), '--now', '--wait=false']);
  });
});

function objects(one: OneNode, locked: TestRegistry): readonly object[] {
  const stay = { command: ['sleep', '3600'] };
  const image = `${locked.host}/private/busybox:1`;
  const unshared = `${locked.host}/private/unshared:1`;
  return [
    podObject('absent', one.image('absent:1')),
    podObject('misnamed', 'Not a name'),
    podObject('never', one.image('never:1'), { container: { imagePullPolicy: 'Never' } }),
    podObject('present', one.image('library/busybox:1.37'), stay),
    podObject('always', one.image('library/busybox:1.37'), { ...stay, container: { imagePullPolicy: 'Always' } }),
    podObject('without-secret', unshared, stay),
    podObject('with-secret', image, { ...stay, spec: { imagePullSecrets: [{ name: 'right' }] } }),
    podObject('wrong-secret', unshared, { ...stay, spec: { imagePullSecrets: [{ name: 'wrong' }] } }),
    podObject('scratch', one.image('scratch:1')),
  ];
}
