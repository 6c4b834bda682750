import type { JsonObject, KubeObject } from '@dure/api';
import type { UserInfo } from './user.ts';

/** Issues what POST `serviceaccounts/NAME/token` asks for. */
export interface ServiceAccountTokens {
  /**
   * @param request A decoded, defaulted `authentication.k8s.io/v1` TokenRequest.
   * @param warn Sends a Warning header with the answer.
   * @returns The request with `status.token` and `status.expirationTimestamp`. @throws {StatusError} Refused (bound object absent, bad audience, ...).
   */
  issue(
    serviceAccount: KubeObject,
    request: JsonObject,
    user: UserInfo,
    signal: AbortSignal,
    warn: (message: string) => void,
  ): Promise<JsonObject>;
}
