import { CelCompiler } from '@dure/api';
import type { Clock } from '@dure/foundation';
import { FileFaults } from '../../config-files/config-file.ts';
import type { Authenticated } from '../../contract/authenticator.ts';
import type { TokenAuthenticator } from '../../contract/token-authenticator.ts';
import { AUTHENTICATION_CONFIG_KIND, type JwtAuthenticatorConfig, sameJwtConfig } from './authentication-config.ts';
import { JwtAuthenticator } from './jwt-authenticator.ts';

/** Signs in the holders of ID tokens of outside issuers. What it trusts may be replaced while it runs. */
export class JwtAuthentication implements TokenAuthenticator, AsyncDisposable {
  readonly #clock: Clock;
  readonly #audiences: readonly string[];
  #authenticators: readonly JwtAuthenticator[] = [];

  /** @param audiences Of this API server: who asks about another's is told nothing, since an ID token's audience is the client that it was made for. */
  constructor(clock: Clock, audiences: readonly string[]) {
    this.#clock = clock;
    this.#audiences = audiences;
  }

  /** Trusts these issuers from now on; those that did not change keep their keys. @throws {ConfigFileError} Nothing has changed then. */
  configure(configs: readonly JwtAuthenticatorConfig[]): void {
    const faults = new FileFaults({ kind: AUTHENTICATION_CONFIG_KIND.kind });
    const compiler = new CelCompiler();
    const before = this.#authenticators;
    const next = configs.map(
      (config, index) =>
        before.find((one) => sameJwtConfig(one.config, config)) ??
        new JwtAuthenticator(config, this.#clock, `jwt[${index}]`, compiler, faults),
    );
    try {
      faults.throwIfAny();
    } catch (error) {
      dispose(next.filter((one) => !before.includes(one)));
      throw error;
    }
    this.#authenticators = next;
    dispose(before.filter((one) => !next.includes(one)));
  }

  async authenticate(token: string, audiences: readonly string[], signal: AbortSignal): Promise<Authenticated | undefined> {
    const granted = audiences.length === 0 ? this.#audiences : this.#audiences.filter((audience) => audiences.includes(audience));
    const authenticator = this.#authenticators.find((one) => one.isIssuerOf(token));
    if (authenticator === undefined || granted.length === 0) return undefined;
    return { user: await authenticator.authenticate(token, signal), audiences: granted };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#authenticators.map((one) => one[Symbol.asyncDispose]()));
  }
}

/** Requests that are under way at an issuer that is trusted no more fail, as they should. */
function dispose(authenticators: readonly JwtAuthenticator[]): void {
  for (const one of authenticators) void one[Symbol.asyncDispose]();
}
