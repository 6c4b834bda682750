import type { ServedKind } from '@dure/api';
import type { UserInfo } from '../contract/user.ts';
import type { ApiRequest, ApiResponse } from '../http/exchange.ts';
import type { RequestInfo, ResourceRequestInfo } from './request-info.ts';

/** A request that is authenticated, authorized and routed. */
export interface ApiCall<Info extends RequestInfo = RequestInfo> {
  readonly request: ApiRequest;
  readonly info: Info;
  readonly user: UserInfo;
  /** The request's own end, or its deadline. */
  readonly signal: AbortSignal;
  warn(message: string): void;
  /** Writes a note beside this request into the audit log; the first value of a key stands. Does nothing where the request is not audited. */
  annotate(key: string, value: string): void;
}

export type ResourceCall = ApiCall<ResourceRequestInfo>;

/** Serves one path outside the API groups, or a prefix of paths. @throws {StatusError} */
export type PathHandler = (call: ApiCall) => Promise<ApiResponse>;

/** Serves one subresource of a stored kind, or a resource that is not stored. @throws {StatusError} */
export type ResourceHandler = (call: ResourceCall, kind: ServedKind) => Promise<ApiResponse>;
