import type { ApiRequest, ApiResponse } from '../http/exchange.ts';
import type { RequestInfo } from '../request/request-info.ts';
import type { UserInfo } from './user.ts';

/** Writes down who asked for what and what came of it. Never throws and never makes a request wait. */
export interface Auditor extends AsyncDisposable {
  /** A request whose sender is known. `undefined`: nothing of it is kept, and following it costs nothing more. */
  begin(facts: AuditFacts, user: UserInfo): AuditTrail | undefined;
  /** A request whose sender could not be found out, and what that is answered. */
  refused(facts: AuditFacts, response: ApiResponse): void;
}

export interface AuditFacts {
  /** The same in every event of the request, and in the answer's `Audit-Id` header. */
  readonly id: string;
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  /** Wall time in milliseconds since 1970. */
  readonly receivedMs: number;
}

/** Follows one request. */
export interface AuditTrail {
  /** The request as its handler shall have it: what is read of its body is kept if the policy says so. */
  readonly request: ApiRequest;
  /** Whom the request acts as instead. */
  impersonated(user: UserInfo): void;
  /** The first value of a key stands. */
  annotate(key: string, value: string): void;
  /** @param response Its headers are about to be sent. @returns What shall be sent: a stream's end is seen by way of it. */
  answered(response: ApiResponse, longRunning: boolean): ApiResponse;
  /** The handler failed in a way that nobody foresaw; `response` hides it. */
  panicked(response: ApiResponse): void;
}
