import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubectlUnavailable } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ControlPlaneProcess, launch } from './control-plane-process.ts';

const unavailable = await kubectlUnavailable();

describe.skipIf(unavailable !== undefined)(
  `a control plane of its own${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let plane: ControlPlaneProcess;
    beforeAll(async () => {
      plane = await ControlPlaneProcess.start();
      // A controller makes it, a moment after the namespace.
      await plane.kubectl(['wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
    });
    afterAll(() => plane?.[Symbol.asyncDispose]());

    const json = async (args: readonly string[]) => JSON.parse(await plane.kubectl([...args, '-o', 'json']));
    const list = (...items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

    it('publishes what others need to verify tokens of ServiceAccounts', async () => {
      const token = await plane.kubectl(['create', 'token', 'default', '--duration=10m']);
      const [header = '', claims = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
      const configuration = JSON.parse(await plane.kubectl(['get', '--raw', '/.well-known/openid-configuration']));
      expect(configuration.issuer).toBe(JSON.parse(claims).iss);
      const { pathname } = new URL(configuration.jwks_uri);
      const { keys } = JSON.parse(await plane.kubectl(['get', '--raw', pathname]));
      expect(keys.map(({ kid }: { kid: string }) => kid)).toContain(JSON.parse(header).kid);
    });

    it('shows the zero counts that typed clients take for given from the start', async () => {
      const pod = { metadata: { labels: { a: 'b' } }, spec: { schedulerName: 'none', containers: [{ name: 'c', image: 'x' }] } };
      const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'none' };
      const items = [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          metadata: { name: 'z' },
          spec: { selector: { matchLabels: { a: 'b' } }, template: pod },
        },
        {
          apiVersion: 'autoscaling/v2',
          kind: 'HorizontalPodAutoscaler',
          metadata: { name: 'z' },
          spec: { maxReplicas: 3, scaleTargetRef },
        },
        { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'z' }, spec: { minAvailable: 1 } },
      ];
      const shown = await plane.kubectl(['create', '--dry-run=server', '-o', 'jsonpath={.status}{"\\n"}', '-f', '-'], list(...items));
      const [replicaSet, autoscaler, budget] = shown
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(replicaSet).toEqual({ replicas: 0 });
      expect(autoscaler).toMatchObject({ desiredReplicas: 0 });
      expect(budget).toEqual({ currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 });
    });

    it('lets a leader step down', async () => {
      const lease = (holderIdentity: string) =>
        JSON.stringify({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'lead' }, spec: { holderIdentity } });
      await plane.kubectl(['create', '-f', '-'], lease('a'));
      await plane.kubectl(['replace', '-f', '-'], lease(''));
      expect((await json(['get', 'lease', 'lead'])).spec.holderIdentity).toBe('');
    });

    it('counts what budgets allow, and refuses evictions that they forbid', async () => {
      await plane.kubectl(
        ['create', '-f', '-'],
        list(
          {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { name: 'only', labels: { app: 'only' } },
            spec: { schedulerName: 'none', containers: [{ name: 'c', image: 'x' }] },
          },
          {
            apiVersion: 'policy/v1',
            kind: 'PodDisruptionBudget',
            metadata: { name: 'only' },
            spec: { minAvailable: 1, selector: { matchLabels: { app: 'only' } } },
          },
        ),
      );
      const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
      await plane.kubectl(['patch', 'pod', 'only', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
      await plane.kubectl(['wait', '--for=jsonpath={.status.currentHealthy}=1', 'pdb/only', '--timeout=20s']);
      const eviction = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'only', namespace: 'default' } });
      const evict = plane.kubectl(['create', '--raw', '/api/v1/namespaces/default/pods/only/eviction', '-f', '-'], eviction);
      await expect(evict).rejects.toThrow("Cannot evict pod as it would violate the pod's disruption budget.");
      expect((await json(['get', 'pod', 'only'])).metadata.deletionTimestamp).toBeUndefined();
    });

    it('goes on where it was after a restart, and so do those who watch', async () => {
      await plane.kubectl(['create', 'configmap', 'before']);
      const { uid } = (await json(['get', 'configmap', 'before'])).metadata;
      await plane.restart();
      expect((await json(['get', 'configmap', 'before'])).metadata.uid).toBe(uid);
      await using watch = await plane.startKubectl(['get', 'configmaps', '-w', '--output-watch-events']);
      await watch.waitForLine(/ADDED\s+before/);
      await plane.kubectl(['create', 'configmap', 'after']);
      await watch.waitForLine(/ADDED\s+after/);
      expect(plane.output).not.toContain('MaxListenersExceededWarning');
    });

    it('says in one line that another process has its port', async () => {
      const directory = await mkdtemp(join(tmpdir(), 'dure-api-second-'));
      try {
        await using second = await launch(directory, plane.port);
        expect(await second.exited).toMatchObject({ code: 1 });
        expect(second.output).toContain(`control-plane: listen on 127.0.0.1:${plane.port}: another process listens there`);
        expect(second.output).not.toMatch(/\n\s+at /);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    });
  },
);
