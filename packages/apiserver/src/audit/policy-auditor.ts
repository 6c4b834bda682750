import type { Clock } from '@dure/foundation';
import type { AuditFacts, Auditor, AuditTrail } from '../contract/auditor.ts';
import type { UserInfo } from '../contract/user.ts';
import { decodeBody } from '../encoding/body.ts';
import { protobufCodec } from '../encoding/protobuf-codec.ts';
import type { ApiResponse } from '../http/exchange.ts';
import type { AuditSink } from './audit-event.ts';
import { type AuditPolicy, auditDecision } from './audit-policy.ts';
import { type DecodeSent, RequestTrail } from './request-trail.ts';

export interface PolicyAuditorOptions {
  readonly policy: AuditPolicy;
  /** Each gets every event; they are closed with the auditor. */
  readonly sinks: readonly AuditSink[];
  readonly clock: Clock;
}

const NOBODY: UserInfo = { name: '', groups: [] };

/**
 * Follows the requests that a policy names.
 * @see https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 */
export class PolicyAuditor implements Auditor {
  readonly #options: PolicyAuditorOptions;
  readonly #decode: DecodeSent;

  constructor(options: PolicyAuditorOptions) {
    this.#options = options;
    const protobuf = protobufCodec();
    // A patch is read as what it is written in: `application/apply-patch+yaml`, `application/json-patch+json`.
    this.#decode = (bytes, contentType) =>
      decodeBody(bytes, contentType?.replace(/^application\/[a-z-]*patch\+/, 'application/'), protobuf).value;
  }

  begin(facts: AuditFacts, user: UserInfo): AuditTrail | undefined {
    const trail = this.#trail(facts, user);
    trail?.received();
    return trail;
  }

  refused(facts: AuditFacts, response: ApiResponse): void {
    this.#trail(facts, NOBODY)?.unauthenticated(response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#options.sinks.map((sink) => sink[Symbol.asyncDispose]()));
  }

  #trail(facts: AuditFacts, user: UserInfo): RequestTrail | undefined {
    const { policy, sinks, clock } = this.#options;
    const decision = auditDecision(policy, user, facts.info);
    if (decision.level === 'None') return undefined;
    return new RequestTrail({
      facts,
      user,
      decision,
      clock,
      decode: this.#decode,
      record(event) {
        for (const sink of sinks) sink.record(event);
      },
    });
  }
}
