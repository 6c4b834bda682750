import type { NativeFailure } from './native-failure.ts';

/** No sandbox or container of that id. */
export class RuntimeNotFoundError extends Error {
  override readonly name = 'RuntimeNotFoundError';
  readonly code = 'RUNTIME_NOT_FOUND';
  readonly id: string;

  constructor(kind: 'sandbox' | 'container', id: string) {
    super(`${kind} ${id}: not found`);
    this.id = id;
  }
}

/** The state does not allow what was asked, such as starting what runs already. */
export class RuntimeStateError extends Error {
  override readonly name = 'RuntimeStateError';
  readonly code = 'RUNTIME_STATE';
}

/** `dure-run` refused or failed a step. `failure` names it. */
export class NativeStepError extends Error {
  override readonly name = 'NativeStepError';
  readonly code = 'RUNTIME_NATIVE_STEP';
  readonly failure: NativeFailure;

  constructor(doing: string, failure: NativeFailure) {
    super(`${doing}: ${describe(failure)}`);
    this.failure = failure;
  }
}

/** The program of a container could not be executed. `reason` is upstream's word. */
export class ContainerStartError extends Error {
  override readonly name = 'ContainerStartError';
  readonly code = 'RUNTIME_CONTAINER_START';
  readonly reason = 'StartError';
  readonly failure: NativeFailure;

  constructor(failure: NativeFailure) {
    super(describe(failure));
    this.failure = failure;
  }
}

/** A program could not be executed in a running container. */
export class ContainerExecError extends Error {
  override readonly name = 'ContainerExecError';
  readonly code = 'RUNTIME_CONTAINER_EXEC';
  readonly failure: NativeFailure;

  constructor(failure: NativeFailure) {
    super(describe(failure));
    this.failure = failure;
  }
}

/** The machine lacks what the runtime stands on. `remedy` says what a person can do. */
export class RuntimeHostError extends Error {
  override readonly name = 'RuntimeHostError';
  readonly code = 'RUNTIME_HOST';
  readonly remedy: string;

  constructor(problem: string, remedy: string, options?: ErrorOptions) {
    super(`${problem}; ${remedy}`, options);
    this.remedy = remedy;
  }
}

/** A sandbox in a user namespace was asked for, which this runtime cannot make yet. */
export class UserNamespaceError extends Error {
  override readonly name = 'UserNamespaceError';
  readonly code = 'RUNTIME_USER_NAMESPACE';

  constructor() {
    super('user namespaces (hostUsers: false) are not supported by the native runtime');
  }
}

/** In the words people know from other runtimes where they exist, since users search for them. */
function describe({ step, subject, error }: NativeFailure): string {
  if (step === 'exec: not found in PATH') return `exec: "${subject}": executable file not found in $PATH`;
  if (step === 'exec') return `exec: "${subject}": ${error?.toLowerCase() ?? 'failed'}`;
  return [step, subject === undefined ? '' : ` ${subject}`, error === undefined ? '' : `: ${error.toLowerCase()}`].join('');
}
