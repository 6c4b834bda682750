import { badRequest, type FieldError, invalid, invalidObject, notSupported } from '@dure/api';
import { isTrue } from '../request/request-info.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** What the query of a write says. */
export interface WriteOptions {
  readonly dryRun: boolean;
  /** Who owns the fields that this write sets. Never empty. */
  readonly fieldManager: string;
  readonly fieldValidation: FieldValidation;
  /** For apply: take fields over from other managers. */
  readonly force: boolean;
  /** Those of the above that the client named itself. */
  readonly sent?: { readonly fieldManager?: string; readonly fieldValidation?: string };
}

const FIELD_MANAGER_MAX = 128;
/** Any longer grace period, which an int64 may ask for, is this one: it ends at a time that timestamps can tell. */
export const GRACE_SECONDS_MAX = 2 ** 31 - 1;

/** @throws {StatusError} Invalid. @param optionsKind Names the options in messages: `CreateOptions`. */
export function parseWriteOptions(query: URLSearchParams, userAgent: string, optionsKind: string, apply = false): WriteOptions {
  const errors: FieldError[] = [];
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']));
  const validation = query.get('fieldValidation') ?? '';
  if (!['', 'Strict', 'Warn', 'Ignore'].includes(validation))
    errors.push(notSupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  const manager = query.get('fieldManager') ?? '';
  if (Buffer.byteLength(manager) > FIELD_MANAGER_MAX)
    errors.push(invalid('fieldManager', manager, `may not be more than ${FIELD_MANAGER_MAX} bytes`));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is refused is exactly these.
  else if (/[\x00-\x1f\x7f]/.test(manager)) errors.push(invalid('fieldManager', manager, 'should only contain printable characters'));
  if (apply && manager === '')
    errors.push({ reason: 'FieldValueRequired', field: 'fieldManager', message: 'Required value: is required for apply patch' });
  const force = query.get('force');
  if (!apply && optionsKind === 'PatchOptions' && force !== null && force !== '') {
    errors.push({ reason: 'FieldValueForbidden', field: 'force', message: 'Forbidden: may not be specified for non-apply patch' });
  }
  if (errors.length > 0) throw invalidObject({ group: 'meta.k8s.io', kind: optionsKind }, '', errors);
  return {
    dryRun: dryRun.length > 0,
    fieldManager: manager === '' ? defaultManager(userAgent) : manager,
    fieldValidation: (validation === '' ? 'Warn' : validation) as FieldValidation,
    force: isTrue(force),
    sent: { ...(manager === '' ? {} : { fieldManager: manager }), ...(validation === '' ? {} : { fieldValidation: validation }) },
  };
}

export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** @param body Decoded DeleteOptions, or `undefined` where the request had no body; its fields lead over the query's. @throws {StatusError} */
export function parseDeleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const sent = body === undefined || body === null ? {} : (body as Record<string, unknown>);
  if (typeof sent !== 'object' || Array.isArray(sent)) throw badRequest('the body of a delete must be a DeleteOptions object');
  const kind = sent.kind;
  if (kind !== undefined && kind !== '' && kind !== 'DeleteOptions')
    throw badRequest(`decoded object cannot be converted to DeleteOptions: it is a ${JSON.stringify(kind)}`);
  const errors: FieldError[] = [];
  const grace = sent.gracePeriodSeconds ?? numberOf(query.get('gracePeriodSeconds'));
  if (grace !== undefined && !(typeof grace === 'bigint' || (typeof grace === 'number' && Number.isInteger(grace))))
    errors.push(invalid('gracePeriodSeconds', grace, 'must be an integer'));
  const dryRun = [sent.dryRun ?? query.getAll('dryRun')].flat().filter((value) => value !== '');
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']));
  const policy = sent.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const orphan = sent.orphanDependents ?? (query.has('orphanDependents') ? isTrue(query.get('orphanDependents')) : undefined);
  if (policy !== undefined && policy !== '' && !['Foreground', 'Background', 'Orphan'].includes(String(policy))) {
    errors.push(notSupported('propagationPolicy', policy, ['Foreground', 'Background', 'Orphan']));
  }
  if (policy !== undefined && orphan !== undefined)
    errors.push(invalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'));
  if (errors.length > 0) throw invalidObject({ group: '', kind: 'DeleteOptions' }, '', errors);
  const propagation =
    policy !== undefined && policy !== '' ? policy : orphan === undefined ? undefined : orphan === true ? 'Orphan' : 'Background';
  const preconditions = sent.preconditions as DeleteOptions['preconditions'] | undefined | null;
  return {
    dryRun: dryRun.length > 0,
    ...(grace === undefined ? {} : { gracePeriodSeconds: Math.min(Number(grace), GRACE_SECONDS_MAX) }),
    ...(propagation === undefined ? {} : { propagationPolicy: propagation as 'Foreground' | 'Background' | 'Orphan' }),
    ...(preconditions === undefined || preconditions === null ? {} : { preconditions }),
  };
}

function numberOf(text: string | null): number | undefined {
  return text === null || text === '' ? undefined : Number(text);
}

/** As upstream: what stands before the first slash of the User-Agent. */
function defaultManager(userAgent: string): string {
  const prefix = userAgent.split('/')[0]?.slice(0, FIELD_MANAGER_MAX) ?? '';
  return prefix === '' ? 'unknown' : prefix;
}
