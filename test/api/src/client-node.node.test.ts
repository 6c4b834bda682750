import { eventually } from '@dure/test-support';
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
  VersionApi,
  Watch,
} from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlaneProcess } from './control-plane-process.ts';

const NAMESPACE = 'default';

/** The client library for JavaScript as its users have it: the newest that runs on every release of Node that Dure supports. */
describe('@kubernetes/client-node', () => {
  let plane: ControlPlaneProcess;
  let config: KubeConfig;
  let core: CoreV1Api;

  beforeAll(async () => {
    // History goes after a second or two, so that a client that was away for a moment has to list anew.
    plane = await ControlPlaneProcess.start({ '--etcd-compaction-interval': '1s' });
    config = new KubeConfig();
    config.loadFromFile(plane.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
  });
  afterAll(() => plane?.[Symbol.asyncDispose]());

  it('asks for the version', async () => {
    expect(await config.makeApiClient(VersionApi).getCode()).toMatchObject({ major: '1', minor: '36' });
  });

  it('creates, reads, replaces, patches, lists and deletes', async () => {
    const body: V1ConfigMap = { metadata: { name: 'settings', labels: { of: 'client' } }, data: { color: 'blue' } };
    const created = await core.createNamespacedConfigMap({ namespace: NAMESPACE, body });
    expect(created.metadata?.creationTimestamp).toBeInstanceOf(Date);
    const replaced = await core.replaceNamespacedConfigMap({
      namespace: NAMESPACE,
      name: 'settings',
      body: { ...created, data: { color: 'green' } },
    });
    await expect(core.replaceNamespacedConfigMap({ namespace: NAMESPACE, name: 'settings', body: created })).rejects.toMatchObject({
      code: 409,
    });
    const patched = await core.patchNamespacedConfigMap({
      namespace: NAMESPACE,
      name: 'settings',
      body: [{ op: 'add', path: '/data/size', value: 'large' }],
    });
    expect(patched.data).toEqual({ color: 'green', size: 'large' });
    expect(patched.metadata?.uid).toBe(replaced.metadata?.uid);
    const merged = await core.patchNamespacedConfigMap(
      { namespace: NAMESPACE, name: 'settings', body: { data: { size: null } } },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
    expect(merged.data).toEqual({ color: 'green' });
    const { items } = await core.listNamespacedConfigMap({ namespace: NAMESPACE, labelSelector: 'of=client' });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(['settings']);
    await core.deleteNamespacedConfigMap({ namespace: NAMESPACE, name: 'settings' });
    const gone = await core.readNamespacedConfigMap({ namespace: NAMESPACE, name: 'settings' }).catch((error: unknown) => error);
    expect(gone).toBeInstanceOf(ApiException);
    expect(gone).toMatchObject({ code: 404 });
  });

  it('applies any object, a custom one too, as its manifest says', async () => {
    const objects = KubernetesObjectApi.makeApiClient(config);
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'lamps.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'lamps', singular: 'lamp', kind: 'Lamp' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { watts: { type: 'integer' } } } } },
            },
          },
        ],
      },
    };
    await objects.create(definition);
    await plane.kubectl(['wait', '--for=condition=Established', 'crd/lamps.example.com', '--timeout=10s']);
    const lamp = { apiVersion: 'example.com/v1', kind: 'Lamp', metadata: { name: 'desk', namespace: NAMESPACE }, spec: { watts: 7 } };
    await objects.patch(lamp, undefined, undefined, 'client-node', true, PatchStrategy.ServerSideApply);
    const custom = config.makeApiClient(CustomObjectsApi);
    const listed = await custom.listNamespacedCustomObject({ group: 'example.com', version: 'v1', namespace: NAMESPACE, plural: 'lamps' });
    expect(listed.items).toMatchObject([
      { metadata: { name: 'desk', managedFields: [{ manager: 'client-node', operation: 'Apply' }] }, spec: { watts: 7 } },
    ]);
    const wrong = { ...lamp, spec: { watts: 'many' } };
    await expect(objects.patch(wrong, undefined, undefined, 'client-node', true, PatchStrategy.ServerSideApply)).rejects.toMatchObject({
      code: 422,
    });
  });

  it('scales through the subresource and reads it back typed', async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const labels = { app: 'scaled' };
    await apps.createNamespacedDeployment({
      namespace: NAMESPACE,
      body: {
        metadata: { name: 'scaled' },
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'x' }] } },
        },
      },
    });
    // The controller writes the Deployment too: read and replace until nobody came in between.
    await eventually('the scale to be taken', async () => {
      const scale = await apps.readNamespacedDeploymentScale({ namespace: NAMESPACE, name: 'scaled' });
      return apps.replaceNamespacedDeploymentScale({ namespace: NAMESPACE, name: 'scaled', body: { ...scale, spec: { replicas: 3 } } });
    });
    const found = await eventually('three Pods', async () => {
      const { items } = await core.listNamespacedPod({ namespace: NAMESPACE, labelSelector: 'app=scaled' });
      return items.length === 3 ? items : undefined;
    });
    expect(found.map(({ status }) => status?.phase)).toEqual(['Pending', 'Pending', 'Pending']);
  });

  it('watches until it is told to stop', async () => {
    const seen: string[] = [];
    const watch = new Watch(config);
    let end = (_error: unknown): void => undefined;
    const ended = new Promise((resolve) => (end = resolve));
    const path = `/api/v1/namespaces/${NAMESPACE}/secrets`;
    const controller = await watch.watch(path, {}, (type, object) => seen.push(`${type} ${object.metadata.name}`), end);
    await core.createNamespacedSecret({ namespace: NAMESPACE, body: { metadata: { name: 'watched' }, stringData: { a: 'b' } } });
    await eventually('the event', async () => (seen.includes('ADDED watched') ? true : undefined));
    controller.abort();
    await ended;
  });

  it('keeps an informer equal to the server over compactions and restarts', async () => {
    const list = () => core.listNamespacedConfigMap({ namespace: NAMESPACE });
    const informer = makeInformer(config, `/api/v1/namespaces/${NAMESPACE}/configmaps`, list);
    const known = new Map<string, string | undefined>();
    const note = ({ metadata }: V1ConfigMap): void => void known.set(metadata?.name ?? '', metadata?.resourceVersion);
    informer.on('add', note);
    informer.on('update', note);
    informer.on('delete', ({ metadata }) => void known.delete(metadata?.name ?? ''));
    let errors = 0;
    // As its documentation tells users to: begin again after an error.
    informer.on('error', () => {
      errors += 1;
      setTimeout(() => void informer.start().catch(() => undefined), 200);
    });
    await informer.start();
    const write = (name: string, value: string) =>
      plane.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } }));
    const sameAsServer = () =>
      eventually('the informer to be as the server', async () => {
        const { items } = await list();
        const there = items.map(({ metadata }) => [metadata?.name ?? '', metadata?.resourceVersion] as const);
        return JSON.stringify(there.sort()) === JSON.stringify([...known].sort()) ? true : undefined;
      });
    for (let round = 0; round < 3; round += 1) {
      await write(`informed-${round}`, 'first');
      await write('informed', `${round}`);
      await sameAsServer();
      if (round > 0) await plane.kubectl(['delete', 'configmap', `informed-${round - 1}`]);
      // Others write meanwhile, so that the history that the informer would go on from is compacted away.
      const before = Number((await list()).metadata?.resourceVersion);
      for (let other = 0; other < 3; other += 1) await plane.kubectl(['create', 'secret', 'generic', `other-${round}-${other}`]);
      await eventually('history to be compacted', async () => {
        const answer = await plane
          .kubectl(['get', '--raw', `/api/v1/namespaces/${NAMESPACE}/secrets?resourceVersion=${before}&resourceVersionMatch=Exact&limit=1`])
          .catch((error: Error) => error.message);
        return /too old|expired|compacted/i.test(answer) ? true : undefined;
      });
      await plane.restart();
      await write(`informed-late-${round}`, 'after');
      await sameAsServer();
    }
    await informer.stop();
    expect(errors).toBeGreaterThan(0);
    expect([...known.keys()].filter((name) => name.startsWith('informed')).sort()).toEqual([
      'informed',
      'informed-2',
      'informed-late-0',
      'informed-late-1',
      'informed-late-2',
    ]);
  });
});
