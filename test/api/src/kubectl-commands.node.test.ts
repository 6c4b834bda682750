import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubectlUnavailable, runCommand } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlaneProcess } from './control-plane-process.ts';

const unavailable = await kubectlUnavailable();

/** What people do with kubectl that needs no node: the same commands as before any other cluster. */
describe.skipIf(unavailable !== undefined)(`kubectl${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`, () => {
  let plane: ControlPlaneProcess;
  let directory: string;
  beforeAll(async () => {
    plane = await ControlPlaneProcess.start();
    directory = await mkdtemp(join(tmpdir(), 'dure-kubectl-'));
    await plane.kubectl(['wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
  });
  afterAll(async () => {
    await plane?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const kubectl = (...args: readonly string[]): Promise<string> => plane.kubectl(args);
  const refused = (...args: readonly string[]): Promise<string> =>
    plane.kubectl(args).then(
      () => expect.fail('it was not refused'),
      ({ message }: Error) => message,
    );
  const file = async (name: string, content: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, content, { mode: 0o755 });
    return path;
  };
  const deployment = (name: string, more = ''): string =>
    `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, labels: {app: ${name}}}
spec:
  replicas: 1
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]
${more}`;

  it('applies, shows and prunes what is no longer in the manifest', async () => {
    const config = (name: string): string => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, labels: {set: pruned}}\n`;
    const both = await file('both.yaml', `${config('kept')}---\n${config('left')}`);
    expect(await kubectl('apply', '-f', both)).toBe('configmap/kept created\nconfigmap/left created\n');
    const one = await file('one.yaml', config('kept'));
    expect(await kubectl('apply', '-f', one, '--prune', '-l', 'set=pruned')).toContain('configmap/left pruned');
    expect(await kubectl('apply', 'view-last-applied', '-f', one)).toContain('set: pruned');
    expect(await kubectl('apply', '-f', one, '--dry-run=server')).toBe('configmap/kept unchanged (server dry run)\n');
  });

  it('edits with an editor', async () => {
    await plane.kubectl(['apply', '-f', '-'], deployment('edited'));
    const editor = await file('editor.sh', '#!/bin/sh\nsed -i "s/replicas: 1/replicas: 4/" "$1"\n');
    expect(await plane.kubectl(['edit', 'deployment', 'edited'], undefined, { KUBE_EDITOR: editor })).toContain(
      'deployment.apps/edited edited',
    );
    expect(await kubectl('get', 'deployment', 'edited', '-o', 'jsonpath={.spec.replicas}')).toBe('4');
    // What the server refuses comes back into the editor with the reason, and nothing is lost.
    const wrong = await file('wrong.sh', '#!/bin/sh\ngrep -q "^# .*must be greater" "$1" || sed -i "s/replicas: 4/replicas: -1/" "$1"\n');
    const said = await plane
      .kubectl(['edit', 'deployment', 'edited'], undefined, { KUBE_EDITOR: wrong, TMPDIR: directory })
      .catch(({ message }: Error) => message);
    const [, kept = ''] = /has been stored to "(.*)"/.exec(said) ?? [];
    expect(await readFile(kept, 'utf8')).toMatch(
      /# \* spec\.replicas: Invalid value: -1: must be greater than or equal to 0[\s\S]*replicas: -1/,
    );
    expect(await kubectl('get', 'deployment', 'edited', '-o', 'jsonpath={.spec.replicas}')).toBe('4');
  });

  it('diffs on the client and on the server', async () => {
    await plane.kubectl(['apply', '-f', '-'], deployment('compared'));
    const changed = await file('changed.yaml', deployment('compared').replace('replicas: 1', 'replicas: 2'));
    for (const how of [[], ['--server-side', '--force-conflicts']])
      expect(await refused('diff', '-f', changed, ...how)).toMatch(/-\s+replicas: 1\n\+\s+replicas: 2/);
    await kubectl('apply', '-f', changed);
    expect(await kubectl('diff', '-f', changed)).toBe('');
  });

  it('applies on the server, shows who owns what, and hands over from client-side apply', async () => {
    await plane.kubectl(['apply', '-f', '-'], deployment('owned'));
    const twice = await file('twice.yaml', deployment('owned').replace('replicas: 1', 'replicas: 2'));
    expect(await kubectl('apply', '--server-side', '-f', twice)).toBe('deployment.apps/owned serverside-applied\n');
    const fields = JSON.parse(await kubectl('get', 'deployment', 'owned', '-o', 'json', '--show-managed-fields')).metadata.managedFields;
    expect(fields.map(({ manager, operation }: { manager: string; operation: string }) => `${manager} ${operation}`)).toContain(
      'kubectl Apply',
    );
    const other = [
      'apply',
      '--server-side',
      '--field-manager=other',
      '-f',
      await file('three.yaml', deployment('owned').replace('replicas: 1', 'replicas: 3')),
    ];
    expect(await refused(...other)).toMatch(/Apply failed with 1 conflict: conflict with "kubectl": \.spec\.replicas/);
    expect(await kubectl(...other, '--force-conflicts')).toContain('serverside-applied');
  });

  it('patches in every way, a status too', async () => {
    await plane.kubectl(['apply', '-f', '-'], deployment('patched'));
    await kubectl(
      'patch',
      'deployment',
      'patched',
      '-p',
      '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:1"}]}}}}',
    );
    await kubectl('patch', 'deployment', 'patched', '--type=merge', '-p', '{"metadata":{"annotations":{"a":"b"}}}');
    await kubectl('patch', 'deployment', 'patched', '--type=json', '-p', '[{"op":"replace","path":"/spec/replicas","value":0}]');
    await kubectl('patch', 'deployment', 'patched', '--subresource=status', '--type=merge', '-p', '{"status":{"observedGeneration":1}}');
    expect(
      await kubectl(
        'get',
        'deployment',
        'patched',
        '-o',
        'jsonpath={.spec.template.spec.containers[*].name} {.metadata.annotations.a} {.spec.replicas}',
      ),
    ).toBe('side web b 0');
    const nowhere = '[{"op":"remove","path":"/spec/nothing"}]';
    expect(await refused('patch', 'deployment', 'patched', '--type=json', '-p', nowhere)).toContain(
      'rejected our request due to an error in',
    );
    expect(await kubectl('get', 'deployment', 'patched', '--subresource=scale')).toMatch(/patched\s+0\s+0/);
  });

  it('sets, autoscales, exposes and rolls back', async () => {
    await plane.kubectl(['apply', '-f', '-'], deployment('rolled'));
    await kubectl(
      'wait',
      '--for=jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}=1',
      'deployment/rolled',
      '--timeout=20s',
    );
    await kubectl('set', 'image', 'deployment/rolled', 'web=web:2');
    await kubectl('set', 'env', 'deployment/rolled', 'COLOR=blue');
    await kubectl('set', 'resources', 'deployment/rolled', '--limits=cpu=100m,memory=64Mi');
    await kubectl(
      'wait',
      '--for=jsonpath={.metadata.annotations.deployment\\.kubernetes\\.io/revision}=4',
      'deployment/rolled',
      '--timeout=20s',
    );
    expect((await kubectl('rollout', 'history', 'deployment/rolled')).match(/^\d+\s/gm)).toHaveLength(4);
    expect(await kubectl('rollout', 'undo', 'deployment/rolled', '--to-revision=2')).toContain('rolled back');
    expect(await kubectl('get', 'deployment', 'rolled', '-o', 'jsonpath={.spec.template.spec.containers[0].env}')).toBe('');
    await kubectl('rollout', 'pause', 'deployment/rolled');
    expect(await refused('rollout', 'restart', 'deployment/rolled')).toContain("can't restart paused deployment");
    await kubectl('rollout', 'resume', 'deployment/rolled');
    await kubectl('autoscale', 'deployment', 'rolled', '--min=1', '--max=3', '--cpu-percent=50');
    expect(await kubectl('get', 'hpa', 'rolled')).toMatch(/Deployment\/rolled\s+\S.*\s1\s+3/);
    await kubectl('expose', 'deployment', 'rolled', '--port=80', '--target-port=8080', '--name=rolled-service');
    expect(await kubectl('get', 'service', 'rolled-service', '-o', 'jsonpath={.spec.ports[0].targetPort}')).toBe('8080');
  });

  it('explains every field, and lists what can be done with what', async () => {
    expect(await kubectl('explain', 'pod', '--recursive')).toMatch(
      /ephemeralContainers\s+<\[\]EphemeralContainer>[\s\S]*targetContainerName\s+<string>/,
    );
    expect(await kubectl('explain', 'hpa.spec.metrics', '--api-version=autoscaling/v2')).toContain('containerResource');
    const resources = await kubectl('api-resources', '-o', 'wide', '--sort-by=kind');
    expect(resources).toMatch(/pods\s+po\s+v1\s+true\s+Pod\s+create,delete,deletecollection,get,list,patch,update,watch\s+all/);
    expect(await kubectl('api-resources', '--categories=all', '-o', 'name')).toContain('horizontalpodautoscalers.autoscaling');
    expect((await kubectl('api-versions')).split('\n')).toEqual(expect.arrayContaining(['apps/v1', 'autoscaling/v2', 'v1']));
    expect(await kubectl('cluster-info')).toContain('Kubernetes control plane');
  });

  it('asks who one is and what one may do', async () => {
    expect(await kubectl('auth', 'whoami')).toMatch(/Username\s+kubernetes-admin[\s\S]*system:masters/);
    expect(await kubectl('auth', 'can-i', '--list', '--as=system:serviceaccount:default:default')).toMatch(
      /selfsubjectreviews\.authentication\.k8s\.io/,
    );
    const asDefault = ['--as=system:serviceaccount:default:default'];
    expect(await refused('auth', 'can-i', 'get', 'secrets', ...asDefault)).toContain('no');
    await kubectl('create', 'role', 'reader', '--verb=get,list', '--resource=secrets,configmaps');
    await kubectl('create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=default:default');
    expect(await kubectl('auth', 'can-i', 'get', 'secrets', ...asDefault)).toBe('yes\n');
    const reconciled = await file(
      'role.yaml',
      'apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: default}\nrules: [{apiGroups: [""], resources: [pods], verbs: [get]}]\n',
    );
    expect(await kubectl('auth', 'reconcile', '-f', reconciled)).toContain('reconciled');
    expect(await kubectl('auth', 'can-i', 'get', 'pods', ...asDefault)).toBe('yes\n');
  });

  it('makes objects from its generators', async () => {
    await kubectl('create', 'deployment', 'generated', '--image=web:1', '--replicas=0');
    await kubectl('create', 'job', 'generated', '--image=web:1', '--', 'true');
    await kubectl('create', 'cronjob', 'generated', '--image=web:1', '--schedule=*/5 * * * *');
    await kubectl('create', 'ingress', 'generated', '--rule=a.example/path*=generated:80');
    await kubectl('create', 'quota', 'generated', '--hard=configmaps=100');
    await kubectl('create', 'priorityclass', 'generated', '--value=10');
    await kubectl('create', 'poddisruptionbudget', 'generated', '--selector=app=generated', '--min-available=1');
    await kubectl('create', 'secret', 'tls', 'refused', '--cert=/nowhere', '--key=/nowhere').then(
      () => expect.fail('it was made'),
      ({ message }: Error) => expect(message).toContain('/nowhere'),
    );
    await kubectl('create', 'service', 'externalname', 'generated', '--external-name=a.example');
    const names = await kubectl('get', 'deploy,job,cronjob,ingress,quota,pc,pdb,svc', '-o', 'name');
    for (const kind of [
      'deployment.apps',
      'job.batch',
      'cronjob.batch',
      'ingress.networking.k8s.io',
      'resourcequota',
      'poddisruptionbudget.policy',
      'service',
    ])
      expect(names).toContain(`${kind}/generated`);
    expect(await kubectl('describe', 'ingress', 'generated')).toContain('a.example');
    expect(await kubectl('describe', 'quota', 'generated')).toMatch(/configmaps\s+\d+\s+100/);
  });

  it('selects, sorts, pages and prints in columns', async () => {
    for (const name of ['c', 'a', 'b']) await kubectl('create', 'configmap', `paged-${name}`);
    await kubectl('label', 'configmap', 'paged-a', 'paged-b', 'side=left');
    expect(await kubectl('get', 'configmaps', '-l', 'side in (left,right)', '-o', 'name')).toBe('configmap/paged-a\nconfigmap/paged-b\n');
    expect(await kubectl('get', 'configmaps', '--field-selector=metadata.name=paged-c', '-o', 'name')).toBe('configmap/paged-c\n');
    const sorted = await kubectl(
      'get',
      'configmaps',
      '--sort-by=.metadata.creationTimestamp',
      '--chunk-size=1',
      '-o',
      'custom-columns=N:.metadata.name',
    );
    expect(
      sorted
        .split('\n')
        .filter((line) => line.startsWith('paged-'))
        .sort(),
    ).toEqual(['paged-a', 'paged-b', 'paged-c']);
    expect(await kubectl('get', 'configmaps', '-L', 'side', '--no-headers')).toMatch(/paged-a\s+0\s+\S+\s+left/);
    expect(await kubectl('get', 'all', '-A')).toContain('service/kubernetes');
  });

  it('deletes with what depends on it, or leaves that behind', async () => {
    for (const name of ['orphaning', 'cascading']) {
      await plane.kubectl(['apply', '-f', '-'], deployment(name));
      await kubectl('wait', '--for=create', 'replicaset', '-l', `app=${name}`, '--timeout=20s');
    }
    await kubectl('delete', 'deployment', 'orphaning', '--cascade=orphan');
    expect(await kubectl('get', 'replicasets', '-l', 'app=orphaning', '-o', 'name')).toContain('orphaning-');
    await kubectl('delete', 'deployment', 'cascading', '--cascade=foreground', '--timeout=20s');
    expect(await kubectl('get', 'replicasets', '-l', 'app=cascading', '-o', 'name')).toBe('');
    await kubectl('delete', 'replicaset', '-l', 'app=orphaning', '--now');
  });

  it('approves a request for a certificate, and the certificate is one that lets its holder in', async () => {
    const { stdout: key } = await runCommand('openssl', ['genpkey', '-algorithm', 'ED25519']);
    const keyFile = await file('jane.key', key);
    const { stdout: request } = await runCommand('openssl', ['req', '-new', '-key', keyFile, '-subj', '/CN=jane/O=visitors']);
    const body = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'jane' },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
      },
    };
    await plane.kubectl(['create', '-f', '-'], JSON.stringify(body));
    expect(await kubectl('get', 'csr', 'jane')).toMatch(/kubernetes\.io\/kube-apiserver-client\s+kubernetes-admin\s+\S+\s+Pending/);
    await kubectl('certificate', 'approve', 'jane');
    await kubectl('wait', '--for=jsonpath={.status.certificate}', 'csr/jane', '--timeout=20s');
    const certificate = Buffer.from(await kubectl('get', 'csr', 'jane', '-o', 'jsonpath={.status.certificate}'), 'base64').toString();
    await kubectl(
      'config',
      'set-credentials',
      'jane',
      '--client-certificate',
      await file('jane.crt', certificate),
      '--client-key',
      keyFile,
    );
    const own = ['--user=jane'];
    expect(await kubectl('auth', 'whoami', ...own)).toMatch(/Username\s+jane[\s\S]*visitors/);
    expect(await refused('get', 'nodes', ...own)).toContain('User "jane" cannot list resource "nodes"');
  });

  it('keeps what a strict reader would not take apart from what it would', async () => {
    const typo = deployment('typo').replace('replicas: 1', 'replica: 1');
    expect(await plane.kubectl(['apply', '-f', '-'], typo).catch(({ message }: Error) => message)).toContain(
      'unknown field "spec.replica"',
    );
    const warned = await plane.kubectl(['create', '--validate=warn', '-f', '-'], typo);
    expect(warned).toContain('deployment.apps/typo created');
  });
});
