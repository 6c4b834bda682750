/** What the compiler knows of a value before there is one. */
export type CelType =
  | { readonly kind: 'dyn' | 'null' | 'bool' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'timestamp' | 'duration' | 'type' }
  | { readonly kind: 'list'; readonly of: CelType }
  | { readonly kind: 'map'; readonly key: CelType; readonly of: CelType }
  | { readonly kind: 'object'; readonly name: string; readonly fields: ReadonlyMap<string, CelType> }
  | { readonly kind: 'optional'; readonly of: CelType }
  /** Values of a library: `net.IP`, `kubernetes.Quantity`. */
  | { readonly kind: 'opaque'; readonly name: string };

const simple = <K extends 'dyn' | 'null' | 'bool' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'timestamp' | 'duration' | 'type'>(
  kind: K,
): CelType => Object.freeze({ kind });

export const DYN = simple('dyn');
/** What an empty literal holds: it goes with everything, and takes its type. */
export const EMPTY: CelType = Object.freeze({ kind: 'dyn' });
export const NULL = simple('null');
export const BOOL = simple('bool');
export const INT = simple('int');
export const UINT = simple('uint');
export const DOUBLE = simple('double');
export const STRING = simple('string');
export const BYTES = simple('bytes');
export const TIMESTAMP = simple('timestamp');
export const DURATION = simple('duration');
export const TYPE = simple('type');

export function listOf(of: CelType): CelType {
  return { kind: 'list', of };
}

export function mapOf(key: CelType, of: CelType): CelType {
  return { kind: 'map', key, of };
}

export function optionalOf(of: CelType): CelType {
  return { kind: 'optional', of };
}

export function opaque(name: string): CelType {
  return { kind: 'opaque', name };
}

/** Whether a value of `actual` may stand where `wanted` is asked for; what is unknown before there is a value may. */
export function isAssignable(actual: CelType, wanted: CelType): boolean {
  if (actual.kind === 'dyn' || wanted.kind === 'dyn') return true;
  switch (wanted.kind) {
    case 'list':
      return actual.kind === 'list' && isAssignable(actual.of, wanted.of);
    case 'map':
      return (
        (actual.kind === 'map' && isAssignable(actual.key, wanted.key) && isAssignable(actual.of, wanted.of)) ||
        (actual.kind === 'object' && isAssignable(STRING, wanted.key) && wanted.of.kind === 'dyn')
      );
    case 'object':
      return (
        actual.kind === 'null' ||
        (actual.kind === 'object' && actual.name === wanted.name) ||
        (actual.kind === 'map' && actual.of.kind === 'dyn')
      );
    case 'optional':
      return actual.kind === 'optional' && isAssignable(actual.of, wanted.of);
    case 'opaque':
      return actual.kind === 'opaque' && actual.name === wanted.name;
    default:
      return actual.kind === wanted.kind;
  }
}

/** A type that both fit, or `undefined`. */
export function unify(a: CelType, b: CelType): CelType | undefined {
  if (a === EMPTY) return b;
  if (b === EMPTY) return a;
  if (a.kind === 'dyn' || b.kind === 'dyn') return isContainer(a) && isContainer(b) ? a : DYN;
  if (a.kind === 'null' || b.kind === 'null') return a.kind === b.kind ? a : a.kind === 'null' ? b : a;
  if (a.kind === 'list' && b.kind === 'list') {
    const of = unify(a.of, b.of);
    return of === undefined ? undefined : listOf(of);
  }
  if (a.kind === 'optional' && b.kind === 'optional') {
    const of = unify(a.of, b.of);
    return of === undefined ? undefined : optionalOf(of);
  }
  if (a.kind === 'map' && b.kind === 'map') {
    const [key, of] = [unify(a.key, b.key), unify(a.of, b.of)];
    return key === undefined || of === undefined ? undefined : mapOf(key, of);
  }
  return isAssignable(a, b) ? b : isAssignable(b, a) ? a : undefined;
}

function isContainer(type: CelType): boolean {
  return type.kind === 'list' || type.kind === 'map';
}

export function showType(type: CelType): string {
  switch (type.kind) {
    case 'list':
      return `list(${showType(type.of)})`;
    case 'map':
      return `map(${showType(type.key)}, ${showType(type.of)})`;
    case 'optional':
      return `optional_type(${showType(type.of)})`;
    case 'object':
    case 'opaque':
      return type.name;
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'duration':
      return 'google.protobuf.Duration';
    default:
      return type.kind;
  }
}
