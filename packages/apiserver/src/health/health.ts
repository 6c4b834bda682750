import { textResponse } from '../http/exchange.ts';
import type { PathHandler } from '../request/call.ts';
import { unknownPath } from '../request/status-response.ts';

/** Looks at one part of the server. Throws what is wrong with it. */
export interface HealthCheck {
  readonly name: string;
  /** Counts for `/livez` too: a server that fails it should be restarted. */
  readonly liveness: boolean;
  check(signal: AbortSignal): Promise<void>;
}

/** A failed check whose reason holds nothing that only operators should read. */
export class HealthFault extends Error {
  override readonly name = 'HealthFault';
  readonly code = 'HEALTH_FAULT';
}

/** `/healthz`, `/livez`, `/readyz`, each also with the name of one check behind it. */
export function healthHandler(endpoint: 'healthz' | 'livez' | 'readyz', checks: readonly HealthCheck[]): PathHandler {
  return async ({ info, request, signal }) => {
    const wanted = checks.filter(({ liveness }) => endpoint !== 'livez' || liveness);
    const name = info.path.split('/')[2] ?? '';
    const excluded = new Set(request.query.getAll('exclude'));
    const chosen = name === '' ? wanted.filter((check) => !excluded.has(check.name)) : wanted.filter((check) => check.name === name);
    if (name !== '' && chosen.length === 0) throw unknownPath();
    const lines: string[] = [];
    let failed = false;
    for (const { name: checkName, check } of chosen) {
      try {
        await check(signal);
        lines.push(`[+]${checkName} ok`);
      } catch (error) {
        // Any other reason may hold what only operators should read; it is in the log of the part itself.
        failed = true;
        lines.push(`[-]${checkName} failed: ${error instanceof HealthFault ? error.message : 'reason withheld'}`);
      }
    }
    if (failed) return textResponse(500, `${lines.join('\n')}\n${endpoint} check failed\n`);
    if (!request.query.has('verbose') || name !== '') return textResponse(200, 'ok');
    return textResponse(200, `${lines.join('\n')}\n${endpoint} check passed\n`);
  };
}
