import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { builtinKinds, KindRegistry } from '@dure/api';
import { startTestServer, type TestServer } from '@dure/apiserver/testing';
import { kubectlPath, kubectlUnavailable } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const unavailable = await kubectlUnavailable();

const MANIFEST = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {color: blue}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 100m}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 80}]
`;

describe.skipIf(unavailable !== undefined)(`kubectl on objects${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let server: TestServer;
  let directory: string;
  let program: string;

  beforeAll(async () => {
    program = await kubectlPath();
    server = await startTestServer(new KindRegistry(builtinKinds), {
      services: { cidrs: ['10.43.0.0/16'], nodePorts: { from: 30_000, to: 32_767 } },
    });
    directory = await mkdtemp(join(tmpdir(), `dure-kubectl-${process.pid}-`));
    await writeFile(join(directory, 'kubeconfig'), server.kubeconfig);
    await writeFile(join(directory, 'web.yaml'), MANIFEST);
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  async function kubectl(...args: string[]): Promise<string> {
    const env = { ...process.env, KUBECONFIG: join(directory, 'kubeconfig'), HOME: directory };
    const { stdout } = await run(program, ['--request-timeout=20s', ...args], { env, timeout: 30_000 });
    return stdout;
  }

  const failure = (...args: string[]): Promise<string> =>
    kubectl(...args).then(
      (stdout) => `succeeded: ${stdout}`,
      (error: { stderr: string }) => error.stderr,
    );

  it('applies a manifest, again without change, and again with one', async () => {
    const file = join(directory, 'web.yaml');
    expect(await kubectl('apply', '-f', file)).toBe('configmap/settings created\ndeployment.apps/web created\nservice/web created\n');
    expect(await kubectl('apply', '-f', file)).toBe('configmap/settings unchanged\ndeployment.apps/web unchanged\nservice/web unchanged\n');
    await writeFile(join(directory, 'green.yaml'), MANIFEST.replace('blue', 'green'));
    expect(await kubectl('apply', '-f', join(directory, 'green.yaml'))).toContain(
      'configmap/settings configured\ndeployment.apps/web unchanged',
    );
    expect(await kubectl('get', 'cm', 'settings', '-o', 'jsonpath={.data.color}')).toBe('green');
  });

  it('prints tables, wide tables, YAML and names', async () => {
    expect(await kubectl('get', 'deploy')).toMatch(/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +0\/2 +0 +0 +\d+s\n$/);
    expect(await kubectl('get', 'deploy', '-o', 'wide')).toMatch(/CONTAINERS +IMAGES +SELECTOR\n.*web +nginx +app=web\n$/);
    expect(await kubectl('get', 'svc', 'web')).toMatch(
      /TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\nweb +ClusterIP +10\.43\.\d+\.\d+ +<none> +80\/TCP/,
    );
    expect(await kubectl('get', 'cm', 'settings', '-o', 'yaml')).toContain('kind: ConfigMap\n');
    expect(await kubectl('get', 'cm,deploy', '-l', 'app=web', '-o', 'name')).toBe('configmap/settings\ndeployment.apps/web\n');
    expect(await kubectl('get', 'all')).toContain('service/web');
  });

  it('describes, explains and lists what there is', async () => {
    expect(await kubectl('describe', 'deploy', 'web')).toMatch(/Replicas: +2 desired/);
    expect(await kubectl('explain', 'deployment.spec.template.spec.containers.ports')).toContain('containerPort\t<integer> -required-');
    expect(await kubectl('explain', 'pod.spec.restartPolicy')).toContain('When containers that ended are started again');
    expect(await kubectl('explain', 'deploy')).toContain('Deployment keeps a number of equal Pods running');
    expect(await kubectl('explain', 'pod', '--recursive')).toContain('terminationGracePeriodSeconds');
    expect(await kubectl('api-resources', '--api-group=apps', '-o', 'name')).toContain('deployments.apps\n');
    expect(await kubectl('api-versions')).toContain('apps/v1\n');
    expect(await kubectl('version')).toContain('Server Version: v1.36.');
  });

  it('creates a namespace, which it sends as protobuf', async () => {
    expect(await kubectl('create', 'namespace', 'proto')).toBe('namespace/proto created\n');
    expect(await kubectl('create', 'deployment', 'p', '--image=nginx', '-n', 'proto')).toBe('deployment.apps/p created\n');
    expect(await kubectl('create', 'secret', 'generic', 's', '--from-literal=a=b', '-n', 'proto')).toBe('secret/s created\n');
    expect(await kubectl('get', 'secret', 's', '-n', 'proto', '-o', 'jsonpath={.data.a}')).toBe('Yg==');
  });

  it('labels, annotates, patches and scales', async () => {
    await kubectl('label', 'cm', 'settings', 'tier=front');
    await kubectl('annotate', 'cm', 'settings', 'note=hello');
    expect(await kubectl('get', 'cm', 'settings', '-o', 'jsonpath={.metadata.labels.tier} {.metadata.annotations.note}')).toBe(
      'front hello',
    );
    await kubectl('patch', 'deploy', 'web', '-p', '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}');
    await kubectl('scale', 'deploy', 'web', '--replicas=5');
    await kubectl('set', 'env', 'deploy/web', 'A=b');
    expect(
      await kubectl(
        'get',
        'deploy',
        'web',
        '-o',
        'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].ports[0].containerPort}',
      ),
    ).toBe('5 nginx:2 80');
  });

  it('validates on the client and the server', async () => {
    await writeFile(join(directory, 'bad.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\nnonsense: 1\n');
    expect(await failure('create', '-f', join(directory, 'bad.yaml'))).toContain('strict decoding error: unknown field "nonsense"');
    expect(await failure('get', 'nothings')).toContain(`the server doesn't have a resource type "nothings"`);
    expect(await failure('get', 'cm', 'absent')).toBe('Error from server (NotFound): configmaps "absent" not found\n');
  });

  it('asks whether it may', async () => {
    expect(await kubectl('auth', 'can-i', 'create', 'pods')).toBe('yes\n');
    expect(await kubectl('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).toBe('admin');
  });

  it('waits for a condition that comes, and for a deletion', async () => {
    await kubectl('run', 'waited', '--image=nginx');
    const waiting = kubectl('wait', '--for=condition=Ready', 'pod/waited', '--timeout=10s');
    await kubectl(
      'patch',
      'pod',
      'waited',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}',
    );
    expect(await waiting).toBe('pod/waited condition met\n');
    expect(await kubectl('delete', 'pod', 'waited', '--wait')).toContain('pod "waited" deleted');
  });

  it('applies on the server, keeps to conflicts, and takes over by force', async () => {
    const file = join(directory, 'ssa.yaml');
    await writeFile(file, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: "1", b: "1"}\n');
    expect(await kubectl('apply', '--server-side', '-f', file)).toBe('configmap/ssa serverside-applied\n');
    await writeFile(file, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: "2"}\n');
    await kubectl('apply', '--server-side', '-f', file);
    expect(JSON.parse(await kubectl('get', 'cm', 'ssa', '-o', 'json')).data).toEqual({ a: '2' });
    await kubectl('patch', 'cm', 'ssa', '--type=merge', '-p', '{"data":{"a":"3"}}', '--field-manager=other');
    expect(await failure('apply', '--server-side', '-f', file)).toContain(
      'Apply failed with 1 conflict: conflict with "other" using v1: .data.a',
    );
    await kubectl('apply', '--server-side', '--force-conflicts', '-f', file);
    expect(await kubectl('get', 'cm', 'ssa', '-o', 'jsonpath={.data.a}')).toBe('2');
  });

  it('diffs, replaces and deletes', async () => {
    await writeFile(join(directory, 'diff.yaml'), MANIFEST.replace('blue', 'red'));
    const diff = await kubectl('diff', '-f', join(directory, 'diff.yaml')).catch((error: { stdout: string }) => error.stdout);
    expect(diff).toContain('+  color: red');
    expect(await kubectl('delete', '-f', join(directory, 'web.yaml'))).toContain('deployment.apps "web" deleted');
    expect(await kubectl('get', 'deploy,svc', '-o', 'name')).toBe('');
  });
});
