import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodes, type Pod, pods, services } from '@dure/api';
import { createClient, createEventRecorder, createInformer, createNetworkTransport, withoutManagedFields } from '@dure/client';
import { type Clock, isAbort, type Logger, type Random, Scope } from '@dure/foundation';
import { openImageStore } from '@dure/images';
import {
  DEFAULT_ROTATION,
  type HardwareFacts,
  ImageManager,
  Kubelet,
  type NodeFacts,
  type NodeIdentity,
  NodeReporter,
  NodeServer,
  nodeHandlers,
  nodeStatusOf,
  ObjectCache,
  type PodDirs,
  PodStore,
  ProbeManager,
  parseResolvConf,
  podEvents,
  rotateLog,
  StatusManager,
  systemMounter,
  VolumeManager,
} from '@dure/kubelet';
import { builtBinary, type NativeRuntime, openNativeRuntime } from '@dure/runtime';
import { type IssuedCertificate, requestCertificate } from './certificate-request.ts';
import { keepCertificate } from './certificate-rotation.ts';
import { ClusterNetwork } from './cluster-network.ts';
import type { Config } from './config.ts';
import { nodeHostname, readHardware, readNodeUsage, readProcessCount } from './hardware.ts';
import { identityPaths, readIssued, writeIssued } from './identity-files.ts';
import { serveImages } from './image-socket.ts';
import { clientWish, obtainMembership, USER_AGENT, writeNodeKubeconfig } from './membership.ts';
import { nativeProgram } from './native-program.ts';
import { detectNodeIPs } from './node-addresses.ts';

export interface AgentDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const LOG_ROTATION_MS = 30_000;
/** Memory that is left to the system; below it the node is under pressure. */
const MEMORY_PRESSURE_BYTES = 100 * 2 ** 20;
/** A file system with both less than this share and less than these bytes free is under pressure. */
const DISK_PRESSURE_SHARE = 0.05;
const DISK_PRESSURE_BYTES = 2 * 2 ** 30;
const PID_PRESSURE_SHARE = 0.95;
/** Containers that restart while the API server is away do not wait for its Services for ever. */
const SERVICES_MS_MAX = 5_000;

/** Runs the node until `signal` aborts, which leaves its Pods running. */
export async function runAgent(config: Config, { clock, random, log }: AgentDeps, signal: AbortSignal): Promise<void> {
  await using scope = new Scope();
  for (const directory of [config.dataDir, config.runDir]) await mkdir(directory, { recursive: true, mode: 0o711 });

  const membership = await obtainMembership(config, clock, log, signal);
  if (config.kubeconfig === undefined) await writeNodeKubeconfig(config.dataDir, config.nodeName, membership);
  const transport = scope.use(createNetworkTransport({ servers: membership.servers, ca: membership.ca, ...membership.client }));
  const client = createClient(transport, { userAgent: USER_AGENT });
  const [hardware, nodeIPs] = await Promise.all([
    readHardware(),
    config.nodeIPs.length > 0 ? config.nodeIPs : detectNodeIPs(membership.servers),
  ]);

  const recorder = createEventRecorder({ client, component: 'kubelet', host: config.nodeName, clock, random, log });
  const events = podEvents(recorder);
  const images = scope.use(
    await openImageStore({ directory: join(config.dataDir, 'images'), registries: config.registries, clock, random, log }),
  );
  let kubelet: Kubelet | undefined;
  let reporter: NodeReporter | undefined;
  const network = new ClusterNetwork({
    config,
    podByUid: (uid) => kubelet?.podByUid(uid),
    onChange: () => reporter?.changed(),
    clock,
    log,
  });
  scope.defer(() => network.close());
  // First: what the runtime finds running may need it.
  await network.resume(signal);
  const runtime = scope.use(
    await openNativeRuntime({
      nodeName: config.nodeName,
      runDir: config.runDir,
      stateDir: join(config.dataDir, 'containers'),
      network,
      clock,
      random,
      log,
      binary: nativeProgram(builtBinary),
    }),
  );
  const identity: NodeIdentity = {
    name: config.nodeName,
    hostname: nodeHostname().toLowerCase(),
    internalIPs: nodeIPs,
    port: config.port,
    labels: config.labels,
  };
  const facts = nodeFacts(config, hardware, identity, await describeCapacity(config));
  const dirs: PodDirs = {
    pods: join(config.dataDir, 'pods'),
    logs: join(config.dataDir, 'logs'),
    memory: join(config.runDir, 'volumes'),
    seccomp: join(config.dataDir, 'seccomp'),
  };
  const objects = new ObjectCache({ client, clock, random, log, signal });
  const imageManager = new ImageManager({
    images,
    objects,
    events,
    clock,
    hostImage: config.allowHostImage ? { hide: [config.dataDir, config.runDir, '/root', '/home'] } : undefined,
  });
  const volumes = new VolumeManager({
    client,
    objects,
    mounter: systemMounter,
    imageLayers: (pod, { image }, stop) => imageManager.layersOf(pod, image?.reference ?? '', image?.pullPolicy, stop),
    clock,
    random,
    log,
    podsDir: dirs.pods,
    memoryDir: dirs.memory,
    facts: (pod) => ({ podIPs: pod.status?.podIPs?.map(({ ip }) => ip) ?? [], hostIPs: facts.ips(), allocatable: facts.allocatable() }),
  });
  const serviceInformer = createInformer({ client, ref: services, transform: withoutManagedFields, clock, random, log });
  const probes = new ProbeManager({ runtime, events, clock, random, log, onChange: (uid) => kubelet?.probeChanged(uid) });
  const running = new Kubelet({
    client,
    runtime,
    images: imageManager,
    volumes,
    objects,
    services: async (stop) => {
      if (!serviceInformer.hasSynced) {
        const done = new AbortController();
        const either = AbortSignal.any([stop, done.signal]);
        await Promise.race([serviceInformer.whenSynced(either), clock.sleep(SERVICES_MS_MAX, either)]).catch(() => undefined);
        done.abort();
        stop.throwIfAborted();
      }
      return serviceInformer.list();
    },
    status: new StatusManager({ client, clock, log, signal }),
    probes,
    events,
    node: facts,
    dirs,
    clock,
    random,
    log,
    nodeObject: () => reporter?.node,
    store: new PodStore(dirs.pods, log),
    allowedSysctls: new Set(config.allowedSysctls),
  });
  kubelet = running;
  const reporting = new NodeReporter({
    client,
    events: recorder,
    identity: () => identity,
    hardware,
    capacity: () => describeCapacity(config),
    health: () => describeHealth(config, network, runtime),
    images: () => images.list(),
    clock,
    log,
  });
  reporter = reporting;

  scope.use(await serveImages(join(config.runDir, 'agent.sock'), images, () => reporting.changed(), log));
  log.info('agent started', { node: config.nodeName, addresses: nodeIPs, dataDir: config.dataDir });

  const kept = running.run(signal);
  await running.whenRecovered;
  await Promise.all([
    kept,
    recorder.run(signal),
    serviceInformer.run(signal),
    keepNode(reporting, network, signal),
    followNodes(),
    followPods(),
    rotateLogs(runtime, clock, log, signal),
    keepClientCertificate(),
    serveNode(),
  ]);

  /** Other nodes for routes, this one for its Pod CIDR and labels. */
  async function followNodes(): Promise<void> {
    const informer = createInformer({ client, ref: nodes, transform: withoutManagedFields, clock, random, log });
    const look = (): void => {
      if (informer.hasSynced) network.setPeers(informer.list());
      const own = informer.get(config.nodeName);
      if (own === undefined) return;
      reporting.observe(own);
      network.open(own.spec.podCIDRs ?? (own.spec.podCIDR === undefined ? [] : [own.spec.podCIDR]), signal);
    };
    informer.addHandler({ add: look, update: look, delete: look });
    informer.whenSynced(signal).then(look, () => undefined);
    await informer.run(signal);
  }

  async function followPods(): Promise<void> {
    const informer = createInformer({
      client,
      ref: pods,
      fieldSelector: `spec.nodeName=${config.nodeName}`,
      transform: withoutManagedFields,
      clock,
      random,
      log,
    });
    informer.addHandler({
      add: (pod: Pod) => running.upsert(pod),
      update: (pod: Pod) => running.upsert(pod),
      delete: (pod: Pod) => running.remove(pod.metadata.uid),
    });
    const whenSynced = async (): Promise<void> => {
      await informer.whenSynced(signal);
      await running.synced(new Set(informer.list().map(({ metadata }) => metadata.uid)));
      const sandboxes = await runtime.listSandboxes();
      await network.collectGarbage(new Set(sandboxes.map(({ id }) => id)));
    };
    const cleaning = whenSynced().catch((error: unknown) => {
      if (!isAbort(error, signal)) log.warn('leftovers of gone pods not removed', { error });
    });
    await informer.run(signal);
    await cleaning;
  }

  async function keepClientCertificate(): Promise<void> {
    if (config.kubeconfig !== undefined) return;
    const install = async (issued: IssuedCertificate): Promise<void> => {
      await writeIssued(identityPaths(config.dataDir).client, issued);
      transport.setIdentity(issued);
      await writeNodeKubeconfig(config.dataDir, config.nodeName, { ...membership, client: issued });
    };
    const obtain = (stop: AbortSignal): Promise<IssuedCertificate> => requestCertificate(client, clock, clientWish(config.nodeName), stop);
    await keepCertificate({ clock, random, log, what: 'client', current: membership.client, obtain, install }, signal);
  }

  /** Listens once there is a certificate to show. */
  async function serveNode(): Promise<void> {
    const path = identityPaths(config.dataDir).serving;
    const handlers = nodeHandlers({
      kubelet: running,
      runtime,
      nodeName: config.nodeName,
      nodeUsage: () => readNodeUsage(config.dataDir),
      processUsage: () => {
        const { user, system } = process.cpuUsage();
        return {
          cpuSeconds: (user + system) / 1e6,
          residentBytes: process.memoryUsage.rss(),
          startSeconds: clock.now() / 1000 - process.uptime(),
        };
      },
      config: () => ({
        kubeletconfig: { kind: 'KubeletConfiguration', apiVersion: 'kubelet.config.k8s.io/v1beta1', maxPods: config.podsMax },
      }),
      clock,
    });
    let server: NodeServer | undefined;
    const show = async (issued: IssuedCertificate): Promise<void> => {
      const shown = { ...issued, clientAuthority: membership.ca };
      if (server !== undefined) {
        server.setIdentity(shown);
        return;
      }
      server = scope.use(new NodeServer({ identity: shown, handlers, runtime, mayCall, clock, log }));
      await server.listen(config.port);
      log.info('serving', { port: config.port });
    };
    const kept = await readIssued(path, clock.now());
    if (kept !== undefined) await show(kept);
    const wish = {
      signerName: 'kubernetes.io/kubelet-serving',
      usages: ['digital signature', 'server auth'],
      names: {
        commonName: `system:node:${config.nodeName}`,
        organizations: ['system:nodes'],
        // The name alone: no cluster should sign an address that a node merely claims, and the API server checks the name.
        dnsNames: [config.nodeName],
      },
    } as const;
    await keepCertificate(
      {
        clock,
        random,
        log,
        what: 'serving',
        current: kept,
        obtain: (stop) => requestCertificate(client, clock, wish, stop),
        install: async (issued) => {
          await writeIssued(path, issued);
          await show(issued);
        },
      },
      signal,
    );
  }
}

/** The API server and administrators; nobody else has business inside containers. */
function mayCall({ groups }: { readonly groups: readonly string[] }): boolean {
  return groups.includes('system:masters') || groups.includes('system:kubelet-api-admin');
}

async function keepNode(reporter: NodeReporter, network: ClusterNetwork, signal: AbortSignal): Promise<void> {
  const node = await reporter.register(signal);
  network.open(node.spec.podCIDRs ?? [], signal);
  await reporter.run(signal);
}

async function rotateLogs(runtime: NativeRuntime, clock: Clock, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(LOG_ROTATION_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    for (const container of await runtime.listContainers()) {
      if (container.state !== 'running') continue;
      await rotateLog(runtime, container, DEFAULT_ROTATION, clock.now()).catch((error: unknown) => {
        log.warn('log not rotated', { container: container.id, error });
      });
    }
  }
}

async function describeCapacity(config: Config) {
  const { fsCapacityBytes } = await readNodeUsage(config.dataDir);
  return { pods: config.podsMax, ephemeralStorageBytes: fsCapacityBytes, reservedCpuMillis: 0, reservedMemoryBytes: MEMORY_PRESSURE_BYTES };
}

async function describeHealth(config: Config, network: ClusterNetwork, runtime: NativeRuntime) {
  const [usage, processes] = await Promise.all([readNodeUsage(config.dataDir), readProcessCount()]);
  return {
    notReady: network.notReady,
    memoryPressure: usage.memoryAvailableBytes < MEMORY_PRESSURE_BYTES,
    diskPressure: usage.fsAvailableBytes < Math.min(DISK_PRESSURE_BYTES, usage.fsCapacityBytes * DISK_PRESSURE_SHARE),
    pidPressure: processes.threads > processes.threadsMax * PID_PRESSURE_SHARE,
    enforcement: runtime.enforcement(),
  };
}

function nodeFacts(
  config: Config,
  hardware: HardwareFacts,
  identity: NodeIdentity,
  capacity: Awaited<ReturnType<typeof describeCapacity>>,
): NodeFacts {
  const { allocatable = {} } = nodeStatusOf(identity, hardware, capacity, []);
  return {
    name: config.nodeName,
    hostname: identity.hostname,
    ips: () => identity.internalIPs,
    memoryBytes: hardware.memoryBytes,
    allocatable: () => allocatable,
    clusterDomain: config.clusterDomain,
    clusterDns: config.clusterDns,
    resolver: async () => parseResolvConf(await readFile('/etc/resolv.conf', 'utf8').catch(() => '')),
    hostsFile: () => readFile('/etc/hosts', 'utf8').catch(() => '127.0.0.1\tlocalhost\n'),
    podPidsMax: config.podPidsMax,
  };
}
