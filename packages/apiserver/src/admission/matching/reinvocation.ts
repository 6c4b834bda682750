import { equalJson, type JsonObject } from '@dure/api';
import { cloneObject } from '../../registry/conversion.ts';
import type { MutationRounds } from '../admission-chain.ts';

/** What the first round of one request's mutation leaves for its second: who wants to see the object again, and whether there is reason to. */
export class ReinvocationMemory {
  /** Those with `IfNeeded` that were called and have not been overtaken by a change. */
  readonly #called = new Set<string>();
  /** Those of them that a later change concerns. */
  readonly #again = new Set<string>();
  #lastOutput: JsonObject | undefined;

  /** Before the round's first call. In the second round what others changed meanwhile concerns all that were called. */
  begin(rounds: MutationRounds, object: JsonObject | undefined): void {
    if (rounds.isReinvocation && this.#lastOutput !== undefined && !equalJson(this.#lastOutput, object)) this.#overtake();
  }

  isWanted(rounds: MutationRounds, key: string): boolean {
    return !rounds.isReinvocation || this.#again.has(key);
  }

  /** After each call. A change asks for a second round. */
  done(rounds: MutationRounds, key: string, reinvocable: boolean, changed: boolean): void {
    if (changed) {
      this.#overtake();
      rounds.reinvoke();
    }
    if (reinvocable) this.#called.add(key);
  }

  /** After the round's last call. */
  end(object: JsonObject | undefined): void {
    const isOfUse = this.#called.size > 0 || this.#again.size > 0;
    this.#lastOutput = isOfUse && object !== undefined ? cloneObject(object) : undefined;
  }

  #overtake(): void {
    for (const key of this.#called) this.#again.add(key);
    this.#called.clear();
  }
}
