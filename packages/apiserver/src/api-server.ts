import { setMaxListeners } from 'node:events';
import { builtinSchemas, joinApiVersion, type KindRegistry, type SchemaBook } from '@dure/api';
import type { Clock, Logger, Random } from '@dure/foundation';
import type { Store } from '@dure/store';
import type { AdmissionPlugin } from './admission/admission-chain.ts';
import { configurationHooks } from './admission/configuration-in-force.ts';
import { configuredAdmission } from './admission/configured-admission.ts';
import { runPolicyStatusController } from './admission/policies/policy-status-controller.ts';
import { forwardToExtension } from './aggregation/aggregation-proxy.ts';
import { API_SERVICES } from './aggregation/api-service.ts';
import { AvailabilityController } from './aggregation/availability-controller.ts';
import { ExtensionDocuments } from './aggregation/extension-documents.ts';
import { openApiOfExtensions } from './aggregation/openapi-of-extensions.ts';
import { RegisteredServices } from './aggregation/registered-services.ts';
import { registrationsOf } from './aggregation/registrations.ts';
import { podDialer } from './connect/dialers.ts';
import { extensionDialer, type FrontProxyIdentity } from './connect/extension-dialer.ts';
import { logHandler, portForwardHandler, streamHandler } from './connect/pod-streams.ts';
import { proxyHandler } from './connect/proxy.ts';
import { webhookClient } from './connect/webhook-client.ts';
import type { Admission } from './contract/admission.ts';
import type { Auditor } from './contract/auditor.ts';
import type { Authenticator } from './contract/authenticator.ts';
import type { Authorizer } from './contract/authorizer.ts';
import type { EvictionGuard } from './contract/eviction-guard.ts';
import type { MetricsSource } from './contract/metrics-source.ts';
import type { NodeDialer, PodDialer } from './contract/node-dialer.ts';
import type { ObjectReader } from './contract/object-reader.ts';
import type { ServiceAccountTokens } from './contract/service-account-tokens.ts';
import type { StatusSwap } from './contract/status-swap.ts';
import type { UserInfo } from './contract/user.ts';
import { DefinitionController } from './custom-resources/definition-controller.ts';
import { Discovery } from './discovery/discovery.ts';
import { discoveryHandler } from './discovery/discovery-paths.ts';
import { EncodingCache } from './encoding/encoding-cache.ts';
import { Presenter } from './encoding/presenter.ts';
import { protobufCodec } from './encoding/protobuf-codec.ts';
import { Fairness } from './fairness/fairness.ts';
import { FairnessController } from './fairness/fairness-controller.ts';
import { fairnessDumps } from './fairness/fairness-dump.ts';
import { type HealthCheck, healthHandler } from './health/health.ts';
import { ProcessMetrics } from './health/process-metrics.ts';
import { RequestMetrics } from './health/request-metrics.ts';
import { versionInfo } from './health/version.ts';
import { jsonResponse, textResponse } from './http/exchange.ts';
import { type InProcessTransport, inProcessTransport } from './http/in-process-door.ts';
import { type DoorTls, type NetworkDoor, openNetworkDoor } from './http/network-door.ts';
import { agentMetrics } from './metrics-api/agent-metrics.ts';
import { nodeMetricsHandler, podMetricsHandler } from './metrics-api/metrics-handlers.ts';
import { metricsKinds } from './metrics-api/metrics-kinds.ts';
import { OpenApi, openApiHandler } from './openapi/openapi.ts';
import { CacheSet, objectReader } from './registry/cache-set.ts';
import type { KindHooks } from './registry/kind-hooks.ts';
import { Reader } from './registry/reader.ts';
import { statusSwap } from './registry/status-swap.ts';
import { storageOf } from './registry/storage-key.ts';
import { runUpkeep, type UpkeepOptions } from './registry/upkeep.ts';
import { Writer } from './registry/writer.ts';
import type { PathHandler, ResourceHandler } from './request/call.ts';
import { IN_FLIGHT_LIMITS, InFlight, type InFlightLimits } from './request/in-flight.ts';
import { requestPipeline } from './request/pipeline.ts';
import { ResourceRouter } from './request/resource-handler.ts';
import { accessReviewHandler, rulesReviewHandler, selfReviewHandler, tokenReviewHandler } from './reviews/reviews.ts';
import { type ServiceAllocationOptions, serviceHooks } from './service-allocation/service-hooks.ts';
import { accountTokenHandler } from './subresources/account-token.ts';
import { componentStatusesHandler } from './subresources/component-statuses.ts';
import type { SubresourceDeps } from './subresources/deps.ts';
import { approvalHandler, finalizeHandler } from './subresources/part-writes.ts';
import { bindingHandler, evictionHandler, mergeEphemeralContainers, mergeResize, podPartHandler } from './subresources/pod-writes.ts';
import { scaleHandler } from './subresources/scale.ts';
import { ContinueTokens } from './watch/continue-token.ts';

export interface ApiServerOptions {
  readonly store: Store;
  readonly kinds: KindRegistry;
  /** Shared definitions that the kinds' schemas refer to. Default: the built-in kinds'. */
  readonly book?: SchemaBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The makers get the server's own reads, so that they need no client. */
  readonly authenticator: (reads: ObjectReader) => Authenticator;
  readonly authorizer: (reads: ObjectReader) => Authorizer;
  readonly admission: (
    reads: ObjectReader,
    authorizer: Authorizer,
    statuses: StatusSwap,
    /** Webhooks and policies that the API configures; they go before quota. */
    configured: readonly AdmissionPlugin[],
  ) => Admission;
  /** Absent: `serviceaccounts/token` is refused. */
  readonly serviceAccountTokens?: (reads: ObjectReader) => ServiceAccountTokens;
  /** Absent: every eviction is allowed. */
  readonly eviction?: (reads: ObjectReader, statuses: StatusSwap) => EvictionGuard;
  /** The way to node agents. Absent: logs, exec and the like are refused. */
  readonly nodes?: NodeDialer;
  /** The way to Pod addresses. Default: plain connections of this machine. */
  readonly pods?: PodDialer;
  /** How the server shows itself to extension API servers. Absent: it shows nothing, and they believe it nothing. */
  readonly frontProxy?: () => FrontProxyIdentity;
  /** Where usage figures come from. Default: the agents, if `nodes` is there. */
  readonly metrics?: (reads: ObjectReader) => MetricsSource;
  /** Where Services get addresses and node ports. Default: none are given out. */
  readonly services?: ServiceAllocationOptions;
  /** Further documents by their exact path, such as `/openid/v1/jwks`; rendered for each request. */
  readonly documents?: Readonly<Record<string, { readonly contentType: string; render(): unknown }>>;
  /** Who writes down requests. Absent: nobody. The server does not close it. */
  readonly auditor?: Auditor;
  readonly version?: string;
  /** Together the seats that priority and fairness divides. Default: upstream's 400 and 200. */
  readonly inFlight?: InFlightLimits;
  /** Deadline of requests that are not long-running. Default 60 s. */
  readonly requestTimeoutMs?: number;
  /** Largest request body. Default 3 MiB. */
  readonly bodyBytesMax?: number;
  /** `host:port` that discovery tells clients. */
  readonly advertisedAddress?: string;
  readonly healthChecks?: readonly HealthCheck[];
  readonly upkeep?: UpkeepOptions;
  /** Signs continue tokens: the same for all servers on one store, so that a list may go on at another. Default: random. */
  readonly continueTokenSecret?: Uint8Array;
  /** Events kept for each resource, for watches from an older revision. Default 4096. */
  readonly windowEvents?: number;
  /** Events that a watcher may lag behind before it is ended. Default 8192. */
  readonly watcherEvents?: number;
}

/** The API over one store. Serves nothing before {@link listen} or {@link transport}. */
export interface ApiServer extends AsyncDisposable {
  /** Opens the network door. */
  listen(address: { readonly host: string; readonly port: number }, tls: DoorTls): Promise<NetworkDoor>;
  /** A client transport in this process that acts as `user`. */
  transport(user: UserInfo, userAgent: string): InProcessTransport;
  readonly reads: ObjectReader;
  /** Ends watches, closes doors gracefully and settles when everything has ended. The store stays open. */
  close(): Promise<void>;
  /** As a crash would: cuts every connection. */
  kill(): void;
}

const REQUEST_TIMEOUT_MS = 60_000;
/** A request waits in a queue for at most this part of its time, as upstream's. */
const QUEUE_WAIT_PART = 0.25;
const BODY_BYTES_MAX = 3 * 1024 * 1024;
const ENCODINGS_BYTES_MAX = 8 * 1024 * 1024;

/** Wires the server's parts. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const { store, kinds, clock, random, log } = options;
  // What is there from the start stays here, whatever is registered later.
  const ownGroupVersions = groupVersionsOf(kinds);
  const book = options.book ?? builtinSchemas;
  const stop = new AbortController();
  const { signal } = stop;
  setMaxListeners(0, signal); // One for each cache and in-process request.
  const caches = new CacheSet({
    store,
    kinds,
    clock,
    log,
    signal,
    ...(options.windowEvents === undefined ? {} : { windowEvents: options.windowEvents }),
    ...(options.watcherEvents === undefined ? {} : { watcherEvents: options.watcherEvents }),
  });
  const reads = objectReader(caches, store, signal);
  const upkeep = runUpkeep(store, caches, clock, log, options.upkeep ?? {}, signal);
  const authenticator = options.authenticator(reads);
  const authorizer = options.authorizer(reads);
  const ownPodDialer = options.pods === undefined ? podDialer() : undefined;
  const pods = options.pods ?? (ownPodDialer as PodDialer);
  const webhooks = webhookClient({ reads, pods, clock, random });
  const configured = configuredAdmission({ kinds, book, reads, authorizer, client: webhooks, random, log });
  const statuses = statusSwap(store);
  const admission = options.admission(reads, authorizer, statuses, configured);

  const protobuf = protobufCodec();
  const presenter = new Presenter({ encodings: new EncodingCache(ENCODINGS_BYTES_MAX), protobuf, clock });
  const reader = new Reader({ store, caches, tokens: new ContinueTokens(options.continueTokenSecret ?? random.bytes(32)), clock, random });
  const hooks = new Map<string, KindHooks>(configurationHooks(reads));
  if (options.services !== undefined) hooks.set('/services', serviceHooks(store, clock, random, options.services));
  const writer = new Writer({ store, clock, random, admission, book, hooks });
  const definitions = new DefinitionController({ store, caches, kinds, writer, webhooks, clock, random, log });
  const hasDefinitions = kinds.groupResource('apiextensions.k8s.io', 'customresourcedefinitions') !== undefined;
  const definitionsRunning = hasDefinitions ? definitions.run(signal) : Promise.resolve();
  const hasPolicies = kinds.groupResource('admissionregistration.k8s.io', 'validatingadmissionpolicies') !== undefined;
  const policiesRunning = hasPolicies ? runPolicyStatusController({ kinds, book, caches, writer, clock, log }, signal) : Promise.resolve();
  const special = new Map<string, ResourceHandler>();
  const router = new ResourceRouter({ kinds, reader, writer, presenter, protobuf, book, clock, special });

  const deps: SubresourceDeps = {
    kinds,
    reader,
    writer,
    router,
    reads,
    book,
    clock,
    admission,
    authenticator,
    authorizer,
    tokens: options.serviceAccountTokens?.(reads),
    eviction: options.eviction?.(reads, statuses),
  };

  const { readOnly, mutating } = options.inFlight ?? IN_FLIGHT_LIMITS;
  const inFlight = new InFlight();
  const requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const fairness = new Fairness({
    seats: readOnly + mutating,
    queueWaitMs: requestTimeoutMs * QUEUE_WAIT_PART,
    clock,
    objectCount(group, version, resource) {
      const kind = kinds.resource(group, version, resource);
      const stored = kind === undefined ? undefined : storageOf(kind.definition);
      return stored === undefined ? undefined : caches.known(stored.group, stored.resource)?.objects.size;
    },
  });
  const hasFlows = kinds.groupResource('flowcontrol.apiserver.k8s.io', 'flowschemas') !== undefined;
  const flows = new FairnessController({ fairness, kinds, caches, writer, clock, log });
  const flowsRunning = hasFlows ? flows.run(signal) : Promise.resolve();
  const metrics = new RequestMetrics();
  const processMetrics = new ProcessMetrics();
  const checks: readonly HealthCheck[] = [
    { name: 'ping', liveness: true, check: async () => undefined },
    { name: 'log', liveness: true, check: async () => undefined },
    {
      name: 'etcd',
      liveness: true,
      check: async () => {
        await store.revision();
      },
    },
    {
      name: 'crd-informer-synced',
      liveness: false,
      check: async () => {
        if (hasDefinitions && !definitions.isSynced) throw new Error('custom resource definitions have not been read yet');
      },
    },
    {
      name: 'apiservice-registration-controller',
      liveness: false,
      check: async () => {
        if (aggregates && !availability.isSynced) throw new Error('API services have not been read yet');
      },
    },
    {
      name: 'poststarthook/priority-and-fairness-config-consumer',
      liveness: false,
      check: async () => {
        if (hasFlows && !flows.isSynced) throw new Error('the configuration of priority and fairness has not been read yet');
      },
    },
    { name: 'shutdown', liveness: false, check: async () => signal.throwIfAborted() },
    ...(options.healthChecks ?? []),
  ];
  const usage = options.metrics?.(reads) ?? (options.nodes === undefined ? undefined : agentMetrics(reads, options.nodes, clock));
  if (usage !== undefined) {
    for (const definition of metricsKinds) kinds.replace(definition);
    special.set('metrics.k8s.io/nodes/', nodeMetricsHandler({ router, reads, source: usage }));
    special.set('metrics.k8s.io/pods/', podMetricsHandler({ router, reads, source: usage }));
  }
  const connect = { reads, nodes: options.nodes, pods, admission, random };
  const extensions = extensionDialer({ reads, pods, random, identity: options.frontProxy });
  const services = new RegisteredServices(reads, ownGroupVersions);
  const documents = new ExtensionDocuments(extensions, clock);
  const availability = new AvailabilityController({ kinds, caches, reads, writer, services, documents, clock, log });
  const aggregates = kinds.groupResource(API_SERVICES.group, API_SERVICES.resource) !== undefined;
  const availabilityRunning = aggregates ? availability.run(signal) : Promise.resolve();
  for (const [place, handler] of [
    ['*/*/scale', scaleHandler(deps)],
    ['/bindings/', bindingHandler(deps)],
    ['/pods/binding', bindingHandler(deps)],
    ['/pods/eviction', evictionHandler(deps)],
    ['/pods/ephemeralcontainers', podPartHandler(deps, mergeEphemeralContainers)],
    ['/pods/resize', podPartHandler(deps, mergeResize)],
    ['/namespaces/finalize', finalizeHandler(deps)],
    ['/serviceaccounts/token', accountTokenHandler(deps)],
    ['/componentstatuses/', componentStatusesHandler(deps, checks)],
    ['certificates.k8s.io/certificatesigningrequests/approval', approvalHandler(deps)],
    ['authentication.k8s.io/tokenreviews/', tokenReviewHandler(deps)],
    ['authentication.k8s.io/selfsubjectreviews/', selfReviewHandler(deps)],
    ['authorization.k8s.io/subjectaccessreviews/', accessReviewHandler(deps)],
    ['authorization.k8s.io/selfsubjectaccessreviews/', accessReviewHandler(deps)],
    ['authorization.k8s.io/localsubjectaccessreviews/', accessReviewHandler(deps)],
    ['authorization.k8s.io/selfsubjectrulesreviews/', rulesReviewHandler(deps)],
    ['/pods/log', logHandler(connect)],
    ['/pods/exec', streamHandler(connect, 'exec')],
    ['/pods/attach', streamHandler(connect, 'attach')],
    ['/pods/portforward', portForwardHandler(connect)],
    ['/pods/proxy', proxyHandler(connect)],
    ['/services/proxy', proxyHandler(connect)],
    ['/nodes/proxy', proxyHandler(connect)],
  ] as const) {
    special.set(place, handler);
  }
  const discovery = discoveryHandler(
    new Discovery(kinds, aggregates ? registrationsOf(services, documents) : undefined),
    () => options.advertisedAddress ?? '',
  );
  const openApi = aggregates ? openApiOfExtensions(services, documents) : undefined;
  const version = versionInfo(options.version ?? '0.1.0');
  const renderMetrics: PathHandler = async () =>
    textResponse(
      200,
      `${metrics.render()}# TYPE apiserver_current_inflight_requests gauge\napiserver_current_inflight_requests{request_kind="readOnly"} ${inFlight.readOnly}\napiserver_current_inflight_requests{request_kind="mutating"} ${inFlight.mutating}\n${fairness.metrics.render(fairness.pool)}${processMetrics.render()}`,
      'text/plain; version=0.0.4; charset=utf-8',
    );
  const exact = new Map<string, PathHandler>([
    ['/version', async () => jsonResponse(200, version)],
    ['/metrics', renderMetrics],
    ...fairnessDumps(fairness, (monotonicMs) => clock.now() - clock.monotonicMs() + monotonicMs),
  ]);
  const prefixes: readonly (readonly [string, PathHandler])[] = [
    ['/api', discovery],
    ['/apis', discovery],
    ['/openapi', openApiHandler(new OpenApi(kinds, book, version.gitVersion, openApi), openApi)],
    ['/healthz', healthHandler('healthz', checks)],
    ['/livez', healthHandler('livez', checks)],
    ['/readyz', healthHandler('readyz', checks)],
  ];
  for (const [path, { contentType, render }] of Object.entries(options.documents ?? {})) {
    exact.set(path, async () => textResponse(200, `${JSON.stringify(render())}\n`, contentType));
  }
  exact.set('/', async () => jsonResponse(200, { paths: [...exact.keys(), ...prefixes.map(([prefix]) => prefix)].sort() }));

  const handler = requestPipeline({
    auditor: options.auditor,
    random,
    authenticator,
    authorizer,
    router,
    elsewhere: (info) => {
      const service = aggregates ? services.answering(info) : undefined;
      return service === undefined ? undefined : (call) => forwardToExtension(extensions, service, call);
    },
    paths: {
      find: (path) =>
        exact.get(path.replace(/(.)\/$/, '$1')) ?? prefixes.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`))?.[1],
    },
    inFlight,
    fairness,
    metrics,
    clock,
    log,
    requestTimeoutMs,
  });

  const doors = new Set<NetworkDoor>();
  const close = async (): Promise<void> => {
    const closing = [...doors].map((door) => door.close());
    stop.abort(new Error('the server is shutting down'));
    processMetrics.stop();
    await Promise.all(closing);
    await upkeep;
    await definitionsRunning;
    await policiesRunning;
    await availabilityRunning;
    await flowsRunning;
    await extensions[Symbol.asyncDispose]();
    await webhooks[Symbol.asyncDispose]();
    await ownPodDialer?.[Symbol.asyncDispose]();
    await caches.settled();
  };
  return {
    reads,
    async listen(address, tls) {
      const door = await openNetworkDoor(address, { tls, handler, log, bodyBytesMax: options.bodyBytesMax ?? BODY_BYTES_MAX });
      doors.add(door);
      return door;
    },
    transport: (user, userAgent) => inProcessTransport(handler, user, userAgent, signal),
    close,
    kill() {
      for (const door of doors) door.kill();
      stop.abort(new Error('the server was killed'));
      processMetrics.stop();
    },
    [Symbol.asyncDispose]: close,
  };
}

/** `apps/v1` and the like, of the kinds that are there now. */
function groupVersionsOf(kinds: KindRegistry): ReadonlySet<string> {
  return new Set(kinds.list().flatMap(({ group, versions }) => versions.map(({ name }) => joinApiVersion(group, name))));
}
