import { type AuthorizationAnswer, type AuthorizationOracle, type AuthorizationQuestion, PendingAnswerError } from '@dure/api';
import type { Authorizer } from '../../contract/authorizer.ts';
import type { UserInfo } from '../../contract/user.ts';

/** Answers what expressions ask about rights, each question once for one request. */
export class AuthorizerOracle implements AuthorizationOracle {
  readonly #authorizer: Authorizer;
  readonly #user: UserInfo;
  readonly #signal: AbortSignal;
  readonly #answers = new Map<string, AuthorizationAnswer>();

  constructor(authorizer: Authorizer, user: UserInfo, signal: AbortSignal) {
    this.#authorizer = authorizer;
    this.#user = user;
    this.#signal = signal;
  }

  answer(question: AuthorizationQuestion): AuthorizationAnswer {
    const key = JSON.stringify(question);
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    throw new PendingAnswerError(this.#ask(key, question));
  }

  async #ask(key: string, { serviceAccount, path, verb, ...resource }: AuthorizationQuestion): Promise<void> {
    const user = serviceAccount === undefined ? this.#user : accountUser(serviceAccount);
    const query = path === undefined ? ({ kind: 'resource', version: '*', ...resource } as const) : ({ kind: 'path', path } as const);
    try {
      const { decision, reason = '' } = await this.#authorizer.authorize({ user, verb, ...query }, this.#signal);
      this.#answers.set(key, { allowed: decision === 'allow', reason });
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#answers.set(key, { allowed: false, reason: '', error: (error as Error).message });
    }
  }
}

function accountUser({ namespace, name }: { readonly namespace: string; readonly name: string }): UserInfo {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}

/** What `run` comes to, once everything that it had to wait for is there. */
export async function evaluated<T>(run: () => T): Promise<T> {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof PendingAnswerError)) throw error;
      await error.ready;
    }
  }
}
