import {
  conflict,
  type Deployment,
  deployments,
  type EndpointSlice,
  endpointSlices,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
  type Service,
  services,
} from '@dure/api';
import { deploymentController, endpointSliceController, garbageCollector, replicaSetController } from '@dure/controllers';
import { controllerBench } from '@dure/controllers/testing';
import { seededRandom, silentLogger } from '@dure/foundation';
import { createScheduler } from '@dure/scheduler';
import { describe, expect, it } from 'vitest';
import { FakeNodes } from './fake-nodes.ts';

const SEEDS =
  process.env.DURE_SEEDS === undefined ? Array.from({ length: 50 }, (_unused, index) => index + 1) : parseSeeds(process.env.DURE_SEEDS);

/** `12` or `1-500`. */
function parseSeeds(text: string): number[] {
  const [first = 1, last = first] = text.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
}

const labels = { app: 'web' };

function isPodActive({ metadata, status }: Pod): boolean {
  return metadata.deletionTimestamp === undefined && status.phase !== 'Succeeded' && status.phase !== 'Failed';
}

function isPodReady({ status }: Pod): boolean {
  return status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}

function deployment(replicas: number, image: string, strategy?: Deployment['spec']['strategy']): Deployment['spec'] {
  return {
    replicas,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [{ name: 'c', image, resources: { requests: { cpu: '100m' } } }] } },
    ...(strategy && { strategy }),
    revisionHistoryLimit: 3,
    progressDeadlineSeconds: 600,
  };
}

describe('a Deployment over faulty writes and stale caches', () => {
  it.each(SEEDS)('holds its promises and arrives, seed %i', async (seed) => {
    const random = seededRandom(seed * 7919);
    await using bench = controllerBench(
      {
        deployment: deploymentController,
        replicaset: replicaSetController,
        endpointslice: endpointSliceController,
        'garbage-collector': garbageCollector,
      },
      seed,
    );
    const { client, clock, informers } = bench;
    const fakeNodes = new FakeNodes({ client, informers, clock, random, startMs: () => 200 + random.integer(3_000) });
    for (const name of ['n1', 'n2', 'n3']) fakeNodes.add(name);
    client.serve(deployments, replicaSets, pods, services, endpointSlices);

    let isFaulty = true;
    client.hook(async ({ verb, ref, name }) => {
      if (!isFaulty || verb === 'watch') return;
      await clock.sleep(random.integer(20));
      if (!['get', 'list'].includes(verb) && random.next() < 0.1)
        throw random.next() < 0.5 ? conflict(ref, name ?? '') : new Error('the server is on fire');
    });
    // Each kind's watch lags on its own, so that caches disagree.
    client.watchDelay = () => clock.sleep(isFaulty ? random.integer(300) : 0);

    const strategy: Deployment['spec']['strategy'] =
      random.next() < 0.8
        ? { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: random.integer(2) } }
        : { type: 'Recreate' };
    const key = { namespace: 'default', name: 'web' };
    client.put(services, { metadata: key, spec: { selector: labels, clusterIP: '10.43.0.9', ports: [{ port: 80 }] } });
    client.put(deployments, { metadata: { ...key, uid: 'd1', generation: 1 }, spec: deployment(4, 'v1', strategy) });
    const events = { record: () => undefined };
    const scheduler = createScheduler({ client, informers, events, clock, random: seededRandom(seed), log: silentLogger });
    await bench.start(
      (signal) => scheduler.run(signal),
      (signal) => fakeNodes.run(signal),
    );

    const violations: string[] = [];
    /** While only the template changes: how many Pods there may be at most, and how many must serve. */
    let rollout: { readonly most: number; readonly least: number } | undefined;
    const check = (): void => {
      const current = client.peek<Deployment>(deployments, 'default/web');
      if (current === undefined) return;
      const all = client.peekAll<Pod>(pods);
      const names = all.map(({ spec, metadata }) => `${metadata.name}@${spec.nodeName}`);
      if (new Set(names).size !== names.length) violations.push('a Pod twice');
      const sets = client.peekAll<ReplicaSet>(replicaSets);
      const specTotal = sets.reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0);
      const serving = all.filter((pod) => isPodActive(pod) && isPodReady(pod)).length;
      if (rollout !== undefined && specTotal > rollout.most) violations.push(`${specTotal} replicas, at most ${rollout.most} may be`);
      if (rollout !== undefined && serving < rollout.least) violations.push(`${serving} Pods serve, at least ${rollout.least} must`);
      if (current.spec.strategy?.type === 'Recreate') {
        const images = new Set(all.filter(isPodActive).map(({ spec }) => spec.containers[0]?.image));
        if (images.size > 1) violations.push(`two versions at once under Recreate: ${[...images].join()}`);
      }
      for (const set of sets) {
        const owned = all
          .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === set.metadata.uid))
          .filter(isPodActive);
        // Each pass creates what is missing by its own count; expectations must keep a stale cache from counting twice.
        if (owned.length > Math.max(set.spec.replicas ?? 0, ...history(set.metadata.uid, set.spec.replicas ?? 0))) {
          violations.push(`${set.metadata.name} has ${owned.length} Pods, wants ${set.spec.replicas}`);
        }
      }
    };
    const sizes = new Map<string, number[]>();
    function history(uid: string, replicas: number): readonly number[] {
      const seen = sizes.get(uid) ?? [];
      seen.push(replicas);
      sizes.set(uid, seen);
      return seen;
    }
    client.hook(check);

    /** Tries until the write goes through, as a user would. */
    const change = async (spec: (before: Deployment['spec']) => Deployment['spec']): Promise<void> => {
      const before = client.peek<Deployment>(deployments, 'default/web');
      if (before === undefined) throw new Error('gone');
      client.put<Deployment>(deployments, {
        ...before,
        metadata: { ...before.metadata, generation: (before.metadata.generation ?? 0) + 1 },
        spec: spec(before.spec),
      });
      await clock.advance(random.integer(8_000));
    };
    const withImage = (spec: Deployment['spec'], image: string): Deployment['spec'] => ({
      ...deployment(spec.replicas ?? 0, image, spec.strategy),
    });

    await clock.advance(20_000);
    let wanted = { replicas: 4, image: 'v1' };
    for (let step = 0; step < 6; step += 1) {
      if (random.next() < 0.5) wanted = { ...wanted, replicas: 1 + random.integer(9) };
      else wanted = { ...wanted, image: `v${1 + random.integer(4)}` };
      const { replicas, image } = wanted;
      await change((before) => ({ ...withImage(before, image), replicas }));
      if (random.next() < 0.3) {
        const victims = client.peekAll<Pod>(pods);
        const victim = victims[random.integer(Math.max(victims.length, 1))];
        if (victim !== undefined) client.drop(pods, `default/${victim.metadata.name}`);
      }
      if (random.next() < 0.2) client.compact();
    }
    await clock.advance(300_000);
    if (strategy.type === 'RollingUpdate') {
      const { replicas } = wanted;
      const { maxUnavailable } = strategy.rollingUpdate ?? {};
      rollout = { most: replicas + Math.ceil(replicas / 4), least: replicas - Number(maxUnavailable) };
    }
    wanted = { ...wanted, image: 'v5' };
    await change((before) => withImage(before, 'v5'));
    await clock.advance(300_000);
    isFaulty = false;
    await clock.advance(120_000);

    expect(violations).toEqual([]);
    const active = client.peekAll<Pod>(pods).filter(isPodActive);
    expect(active.map(({ spec }) => spec.containers[0]?.image)).toEqual(Array(wanted.replicas).fill(wanted.image));
    expect(active.every(isPodReady)).toBe(true);
    const final = client.peek<Deployment>(deployments, 'default/web');
    expect(final?.status).toMatchObject({
      replicas: wanted.replicas,
      updatedReplicas: wanted.replicas,
      availableReplicas: wanted.replicas,
    });
    expect(final?.status.unavailableReplicas).toBeUndefined();
    expect(final?.status.conditions?.find(({ type }) => type === 'Progressing')).toMatchObject({
      status: 'True',
      reason: 'NewReplicaSetAvailable',
    });
    // At most one ReplicaSet in use, and no more old ones than history asks for.
    const sets = client.peekAll<ReplicaSet>(replicaSets);
    expect(sets.filter(({ spec }) => spec.replicas !== 0)).toHaveLength(1);
    expect(sets.length).toBeLessThanOrEqual(1 + 3);
    const endpoints = client.peekAll<EndpointSlice>(endpointSlices).flatMap((slice) => slice.endpoints ?? []);
    expect(endpoints.map(({ targetRef }) => targetRef?.name).sort()).toEqual(active.map(({ metadata }) => metadata.name).sort());
    expect(client.peekAll<Service>(services)).toHaveLength(1);

    // And when it goes, everything goes.
    await client.delete(deployments, key, { propagationPolicy: random.next() < 0.5 ? 'Foreground' : 'Background' });
    client.drop(services, 'default/web');
    await clock.advance(120_000);
    const left = [
      ...client.peekAll(deployments),
      ...client.peekAll(replicaSets),
      ...client.peekAll(pods),
      ...client.peekAll(endpointSlices),
    ];
    expect(left.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([]);
  });
});
