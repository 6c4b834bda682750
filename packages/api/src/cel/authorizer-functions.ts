/**
 * Asking in an expression what somebody may do: `authorizer.group('apps').resource('deployments').check('create').allowed()`.
 * Whoever evaluates gives the {@link AuthorizationOracle}; an answer that has to be waited for ends the evaluation with a
 * {@link PendingAnswerError}, and the expression is evaluated anew once it is there.
 * @see https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library
 */
import { CelEvaluationError } from './cel-error.ts';
import { BOOL, type CelType, opaque, STRING } from './cel-type.ts';
import { type CelValue, LibraryValue } from './cel-value.ts';
import { method, type Overload } from './overload.ts';

/** One question, as far as the expression spelled it out. */
export interface AuthorizationQuestion {
  /** Somebody else than who makes the request. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  /** Given: the question is about this path, and all else but the verb is empty. */
  readonly path?: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly fieldSelector: string;
  readonly labelSelector: string;
}

export interface AuthorizationAnswer {
  readonly allowed: boolean;
  readonly reason: string;
  /** Why there was no answer. */
  readonly error?: string;
}

export interface AuthorizationOracle {
  /** @throws {PendingAnswerError} The answer is not there yet. */
  answer(question: AuthorizationQuestion): AuthorizationAnswer;
}

/** An evaluation needs something that is still on its way. Nothing within an expression can catch it. */
export class PendingAnswerError extends Error {
  override readonly name = 'PendingAnswerError';
  readonly code = 'CEL_PENDING_ANSWER';
  /** Resolves once the evaluation may be tried again. */
  readonly ready: Promise<void>;

  constructor(ready: Promise<void>) {
    super('the expression waits for an answer');
    this.ready = ready;
  }
}

export const AUTHORIZER = opaque('kubernetes.authorization.Authorizer');
const PATH_CHECK = opaque('kubernetes.authorization.PathCheck');
const GROUP_CHECK = opaque('kubernetes.authorization.GroupCheck');
export const RESOURCE_CHECK = opaque('kubernetes.authorization.ResourceCheck');
const DECISION = opaque('kubernetes.authorization.Decision');

interface Check {
  readonly oracle: AuthorizationOracle;
  readonly question: AuthorizationQuestion;
}

const NOTHING_ASKED: AuthorizationQuestion = {
  verb: '',
  group: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  fieldSelector: '',
  labelSelector: '',
};

/** The value of `authorizer`. */
export function authorizerValue(oracle: AuthorizationOracle): CelValue {
  return new LibraryValue(AUTHORIZER, { oracle, question: NOTHING_ASKED } satisfies Check);
}

/** The value of `authorizer.requestResource`: what the request itself is about. */
export function resourceCheckValue(
  oracle: AuthorizationOracle,
  resource: Pick<AuthorizationQuestion, 'group' | 'resource' | 'subresource' | 'namespace' | 'name'>,
): CelValue {
  return new LibraryValue(RESOURCE_CHECK, { oracle, question: { ...NOTHING_ASKED, ...resource } } satisfies Check);
}

function contentOf<T>(value: CelValue, type: CelType): T {
  if (!(value instanceof LibraryValue) || value.type !== type) throw new CelEvaluationError('no such overload');
  return value.content as T;
}

/** A method that adds to the question. */
function step(name: string, from: CelType, to: CelType, add: (text: string) => Partial<AuthorizationQuestion>): Overload {
  return method<[CelValue, string]>(name, [from, STRING], to, ([value, text]) => {
    const { oracle, question } = contentOf<Check>(value, from);
    return new LibraryValue(to, { oracle, question: { ...question, ...add(text) } } satisfies Check);
  });
}

function check(from: CelType, verbOf: (text: string) => string): Overload {
  return method<[CelValue, string]>('check', [from, STRING], DECISION, ([value, verb]) => {
    const { oracle, question } = contentOf<Check>(value, from);
    const answer = oracle.answer({ ...question, verb: verbOf(verb) });
    return new LibraryValue(DECISION, answer);
  });
}

function reading(name: string, type: CelType, read: (answer: AuthorizationAnswer) => CelValue): Overload {
  return method<[CelValue]>(name, [DECISION], type, ([value]) => read(contentOf<AuthorizationAnswer>(value, DECISION)));
}

export const authorizerFunctions: readonly Overload[] = [
  step('path', AUTHORIZER, PATH_CHECK, (path) => {
    if (path === '') throw new CelEvaluationError('path must not be empty');
    return { path };
  }),
  step('group', AUTHORIZER, GROUP_CHECK, (group) => ({ group })),
  method<[CelValue, string, string]>('serviceAccount', [AUTHORIZER, STRING, STRING], AUTHORIZER, ([value, namespace, name]) => {
    const { oracle, question } = contentOf<Check>(value, AUTHORIZER);
    return new LibraryValue(AUTHORIZER, { oracle, question: { ...question, serviceAccount: { namespace, name } } } satisfies Check);
  }),
  step('resource', GROUP_CHECK, RESOURCE_CHECK, (resource) => ({ resource })),
  step('subresource', RESOURCE_CHECK, RESOURCE_CHECK, (subresource) => ({ subresource })),
  step('namespace', RESOURCE_CHECK, RESOURCE_CHECK, (namespace) => ({ namespace })),
  step('name', RESOURCE_CHECK, RESOURCE_CHECK, (name) => ({ name })),
  step('fieldSelector', RESOURCE_CHECK, RESOURCE_CHECK, (fieldSelector) => ({ fieldSelector })),
  step('labelSelector', RESOURCE_CHECK, RESOURCE_CHECK, (labelSelector) => ({ labelSelector })),
  check(RESOURCE_CHECK, (verb) => verb),
  check(PATH_CHECK, (verb) => verb.toLowerCase()),
  reading('allowed', BOOL, ({ allowed }) => allowed),
  reading('reason', STRING, ({ reason }) => reason),
  reading('errored', BOOL, ({ error }) => error !== undefined),
  reading('error', STRING, ({ error }) => error ?? ''),
];
