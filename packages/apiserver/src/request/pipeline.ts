import { setMaxListeners } from 'node:events';
import { forbiddenRequest, StatusError, timeout, unauthorized } from '@dure/api';
import { abortable, type Clock, type Logger, type Random, uuid } from '@dure/foundation';
import type { AuditFacts, Auditor, AuditTrail } from '../contract/auditor.ts';
import type { Authenticator } from '../contract/authenticator.ts';
import type { AuthorizationQuery, Authorizer } from '../contract/authorizer.ts';
import type { UserInfo } from '../contract/user.ts';
import { type Fairness, type Flow, flowHeaders, type Leave } from '../fairness/fairness.ts';
import type { RequestMetrics } from '../health/request-metrics.ts';
import type { ApiRequest, ApiResponse, RequestHandler } from '../http/exchange.ts';
import { whenClosed } from '../watch/feed.ts';
import type { ApiCall, PathHandler } from './call.ts';
import { impersonated } from './impersonation.ts';
import type { InFlight } from './in-flight.ts';
import { isLongRunning, parseRequestInfo, type RequestInfo } from './request-info.ts';
import type { ResourceRouter } from './resource-handler.ts';
import { failureResponse, storeFailure, unknownPath } from './status-response.ts';
import { Warnings } from './warnings.ts';

export interface PipelineDeps {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly router: ResourceRouter;
  readonly paths: PathRouter;
  /** Who serves what another server is registered for; looked for before everything else. */
  readonly elsewhere: (info: RequestInfo) => PathHandler | undefined;
  readonly inFlight: InFlight;
  readonly fairness: Fairness;
  readonly metrics: RequestMetrics;
  /** Absent: nobody writes down who asked for what. */
  readonly auditor: Auditor | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Deadline of what is not long-running. */
  readonly requestTimeoutMs: number;
}

/** Finds who serves a path outside the API's resources. */
export interface PathRouter {
  find(path: string): PathHandler | undefined;
}

/** Every request's way: who, may they, where to, what comes of it. Failures become Status answers here and nowhere else. */
export function requestPipeline(deps: PipelineDeps): RequestHandler {
  const { metrics, clock, log, inFlight, fairness, auditor } = deps;

  return async (request) => {
    const startedMs = clock.monotonicMs();
    let info: RequestInfo | undefined;
    let facts: AuditFacts | undefined;
    let trail: AuditTrail | undefined;
    let isKnown = false;
    const auditId = auditIdOf(deps, request);
    const warnings = new Warnings();
    const ended = new AbortController();
    let flow: Flow | undefined;
    let leave: Leave | undefined;
    let isCounted = false;
    try {
      info = parseRequestInfo(request.method, request.path, request.query);
      if (auditor !== undefined) facts = { id: auditId, request, info, receivedMs: clock.now() };
      const longRunning = isLongRunning(info, request.query);
      const signal = longRunning ? request.signal : withDeadline(deps, request, ended.signal);
      setMaxListeners(0, signal); // A deletecollection waits for many writes at once.
      const sender = await identify(deps, request, signal);
      isKnown = true;
      if (facts !== undefined) trail = auditor?.begin(facts, sender);
      const user = await impersonated(sender, request, deps.authorizer, signal);
      if (user !== sender) trail?.impersonated(user);
      // The server's own parts are bounded by what they are; refusing them would only stall what frees places. Watches hold a place until they have begun.
      if (request.user === undefined && (!longRunning || info.verb === 'watch')) {
        flow = fairness.classify(user, info);
        const entering = fairness.enter(flow, info, request.query, signal);
        leave = entering instanceof Promise ? await entering : entering;
        isCounted = !longRunning;
        if (isCounted) inFlight.enter(request.method);
      }
      const call: ApiCall = {
        request: trail?.request ?? request,
        info,
        user,
        signal,
        warn: (message) => warnings.add(message),
        annotate: (key, value) => trail?.annotate(key, value),
      };
      await permit(deps, call);
      // Raced with the deadline, since a client may take forever to send its body.
      const response = await abortable(dispatch(call, deps), signal);
      metrics.observe(info, request.method, response.status, clock.monotonicMs() - startedMs, longRunning);
      if (leave !== undefined && response.body.kind === 'frames' && response.body.begun !== undefined) {
        response.body.begun.then(leave);
        leave = undefined;
      }
      const whole = finished(withHeaders(response, warnings, auditId, flow), metrics, info, longRunning);
      return trail?.answered(whole, longRunning) ?? whole;
    } catch (error) {
      const shown = readable(error, request, ended.signal);
      const response = withHeaders(failureResponse(shown), warnings, auditId, flow);
      if (!(error instanceof StatusError) && !request.signal.aborted) {
        log.error('request failed', { method: request.method, path: request.path, error });
      }
      metrics.observe(info, request.method, response.status, clock.monotonicMs() - startedMs, false);
      if (!isKnown && facts !== undefined && response.status === 401) auditor?.refused(facts, response);
      if (shown instanceof StatusError || storeFailure(shown) !== undefined) trail?.answered(response, false);
      else trail?.panicked(response);
      return response;
    } finally {
      if (isCounted) inFlight.leave(request.method);
      leave?.();
      ended.abort(REQUEST_ENDED);
    }
  };
}

async function dispatch(call: ApiCall, { router, paths, elsewhere }: PipelineDeps): Promise<ApiResponse> {
  const { info } = call;
  const forward = elsewhere(info);
  if (forward !== undefined) return forward(call);
  if (info.kind === 'resource') return router.serve({ ...call, info });
  const handler = paths.find(info.path);
  if (handler === undefined) throw unknownPath();
  return handler(call);
}

const REQUEST_ENDED = new Error('request ended');

class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'REQUEST_DEADLINE';
}

/** The request's own signal, which aborts at its deadline too. Linked by hand: this is done for every request, and AbortSignal.any does more than it needs. */
function withDeadline({ clock, requestTimeoutMs }: PipelineDeps, request: ApiRequest, ended: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const { signal } = request;
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true, signal: ended });
  const asked = /^(\d+)(ms|s|m)$/.exec(request.query.get('timeout') ?? '');
  const unitMs = asked?.[2] === 'ms' ? 1 : asked?.[2] === 'm' ? 60_000 : 1000;
  const limitMs = asked === null ? requestTimeoutMs : Math.min(Number(asked[1]) * unitMs, requestTimeoutMs);
  clock.sleep(limitMs, ended).then(
    () => controller.abort(new DeadlineError(`request did not end within ${limitMs} ms`)),
    () => undefined,
  );
  return controller.signal;
}

/** The client's own, or a new one; '' where nobody will ask for it. */
function auditIdOf({ auditor, random }: PipelineDeps, { headers, user }: ApiRequest): string {
  if (user !== undefined && auditor === undefined) return '';
  const given = headers['audit-id'] ?? '';
  return given === '' ? uuid(random) : given;
}

async function identify({ authenticator }: PipelineDeps, request: ApiRequest, signal: AbortSignal): Promise<UserInfo> {
  if (request.user !== undefined) return request.user;
  const { headers, headerLines, certificate, remoteAddress, path } = request;
  const authenticated = await authenticator.authenticate(
    {
      headers,
      remoteAddress,
      path,
      ...(headerLines === undefined ? {} : { headerLines }),
      ...(certificate === undefined ? {} : { certificate }),
    },
    signal,
  );
  if (authenticated === undefined) throw unauthorized();
  return authenticated.user;
}

/** @throws {StatusError} Forbidden. */
async function permit({ authorizer }: PipelineDeps, { user, info, request, signal, annotate }: ApiCall): Promise<void> {
  const { decision, reason = '' } = await authorizer.authorize(questionOf(user, info, request.query), signal).catch((error: unknown) => {
    annotate('authorization.k8s.io/reason', 'internal error');
    throw error;
  });
  annotate('authorization.k8s.io/decision', decision === 'allow' ? 'allow' : 'forbid');
  annotate('authorization.k8s.io/reason', reason);
  if (decision !== 'allow') throw forbidden(user, info, reason);
}

function questionOf(user: UserInfo, info: RequestInfo, query: URLSearchParams): AuthorizationQuery {
  if (info.kind === 'path') return { user, kind: 'path', verb: info.verb, path: info.path };
  const { group, version, resource, subresource, namespace, verb } = info;
  const fieldSelector = query.get('fieldSelector') ?? '';
  // Listing or watching one object by its name is a question about that object: rules with resourceNames, and nodes, depend on it.
  const name = info.name === '' ? (/(?:^|,)metadata\.name==?([^,=!]+)/.exec(fieldSelector)?.[1] ?? '') : info.name;
  const labelSelector = query.get('labelSelector') ?? '';
  return { user, kind: 'resource', verb, group, version, resource, subresource, namespace, name, fieldSelector, labelSelector };
}

function forbidden(user: UserInfo, info: RequestInfo, reason: string): StatusError {
  const detail = reason === '' ? '' : `: ${reason}`;
  if (info.kind === 'path') {
    return forbiddenRequest(
      { group: '', resource: '' },
      '',
      `User ${JSON.stringify(user.name)} cannot ${info.verb} path ${JSON.stringify(info.path)}${detail}`,
    );
  }
  const what = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  const where = info.namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(info.namespace)}`;
  const why = `User ${JSON.stringify(user.name)} cannot ${info.verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(info.group)} ${where}${detail}`;
  return forbiddenRequest({ group: info.group, resource: info.resource }, info.name, why);
}

/** A deadline that struck inside some call is the request's own Timeout. */
function readable(error: unknown, request: ApiRequest, ended: AbortSignal): unknown {
  if (error instanceof DeadlineError) return timeout('request did not complete within the allotted timeout');
  if ((request.signal.aborted && error === request.signal.reason) || ended.aborted) return timeout('the request was given up');
  return error;
}

/** The answer with what every answer carries: warnings, its name in the audit log, and where the request belonged. */
function withHeaders(response: ApiResponse, warnings: Warnings, auditId: string, flow: Flow | undefined): ApiResponse {
  const warning = warnings.headers();
  if (warning.length === 0 && auditId === '' && flow === undefined) return response;
  return {
    ...response,
    headers: {
      ...response.headers,
      ...(auditId === '' ? {} : { 'audit-id': auditId }),
      ...(warning.length === 0 ? {} : { warning }),
      ...(flow === undefined ? {} : flowHeaders(flow)),
    },
  };
}

/** Counts a long-running answer while it is being written. */
function finished(response: ApiResponse, metrics: RequestMetrics, info: RequestInfo, longRunning: boolean): ApiResponse {
  if (!longRunning || response.body.kind !== 'frames') return response;
  return { ...response, body: { kind: 'frames', frames: whenClosed(response.body.frames, metrics.longRunning(info)) } };
}
