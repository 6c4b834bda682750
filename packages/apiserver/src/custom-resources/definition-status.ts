/** What the server says of a CustomResourceDefinition: which names it got, and whether its kind is served. Pure. */
import { type JsonObject, objectAt, semanticEqual, stringAt, stringsAt } from '@dure/api';
import { type Condition, hasCondition, withCondition } from '../registry/conditions.ts';

/** While it stands there, the definition waits for its objects to go. */
export const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io';

/** Names that others in the same group have: resources (plural, singular, short) and kinds (also of lists). */
export interface TakenNames {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

const APPROVAL_ANNOTATION = 'api-approved.kubernetes.io';

/** The names that `others` were given. */
export function takenNames(others: Iterable<JsonObject>): TakenNames {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const other of others) {
    const names = objectAt(other, 'status', 'acceptedNames');
    for (const name of [stringAt(names, 'plural'), stringAt(names, 'singular'), ...stringsAt(names, 'shortNames')]) resources.add(name);
    for (const name of [stringAt(names, 'kind'), stringAt(names, 'listKind')]) kinds.add(name);
  }
  resources.delete('');
  kinds.delete('');
  return { resources, kinds };
}

/**
 * The status that `definition` should have, or `undefined` where it has it. A kind once established stays so, whatever names it asks for later.
 * @param now RFC 3339.
 */
export function planDefinitionStatus(definition: JsonObject, taken: TakenNames, now: string): JsonObject | undefined {
  const before = objectAt(definition, 'status') ?? {};
  const { names, condition } = acceptNames(definition, taken);
  let status = withCondition({ ...before, acceptedNames: names }, condition, now);
  if (!hasCondition(definition, 'Established')) {
    status = withCondition(status, establishment(condition.status === 'True'), now);
  }
  const approval = approvalOf(definition);
  if (approval !== undefined) status = withCondition(status, approval, now);
  return semanticEqual(status, before) ? undefined : status;
}

function establishment(accepted: boolean): Condition {
  return accepted
    ? { type: 'Established', status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
    : { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' };
}

/** Each name that is free, or was this definition's already; the others stay as they were. */
function acceptNames(definition: JsonObject, taken: TakenNames): { readonly names: JsonObject; readonly condition: Condition } {
  const wanted = objectAt(definition, 'spec', 'names') ?? {};
  const had = objectAt(definition, 'status', 'acceptedNames') ?? {};
  const names: JsonObject = { kind: stringAt(had, 'kind'), plural: stringAt(had, 'plural') };
  let conflict: { readonly reason: string; readonly message: string } | undefined;
  const take = (field: string, reason: string, set: ReadonlySet<string>): void => {
    const name = stringAt(wanted, field);
    const held = stringAt(had, field);
    if (name !== held && set.has(name)) {
      conflict = { reason, message: `${JSON.stringify(name)} is already in use` };
      if (held !== '') names[field] = held;
    } else if (name !== '') names[field] = name;
  };
  take('plural', 'PluralConflict', taken.resources);
  take('singular', 'SingularConflict', taken.resources);
  const heldShort = stringsAt(had, 'shortNames');
  const short = stringsAt(wanted, 'shortNames');
  const clashes = short.filter((name) => !heldShort.includes(name) && taken.resources.has(name));
  if (clashes.length > 0) {
    const messages = clashes.map((name) => `${JSON.stringify(name)} is already in use`);
    conflict = { reason: 'ShortNamesConflict', message: messages.length === 1 ? (messages[0] ?? '') : `[${messages.join(', ')}]` };
  }
  const shortNames = clashes.length > 0 ? heldShort : short;
  if (shortNames.length > 0) names.shortNames = [...shortNames];
  take('kind', 'KindConflict', taken.kinds);
  take('listKind', 'ListKindConflict', taken.kinds);
  const categories = stringsAt(wanted, 'categories');
  if (categories.length > 0) names.categories = [...categories];
  const condition: Condition =
    conflict === undefined
      ? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
      : { type: 'NamesAccepted', status: 'False', ...conflict };
  return { names, condition };
}

/** Groups of the project itself say which review let them in. @see KEP-1111 */
function approvalOf(definition: JsonObject): Condition | undefined {
  const group = stringAt(definition, 'spec', 'group');
  if (!/(^|\.)(k8s\.io|kubernetes\.io)$/.test(group)) return undefined;
  const type = 'KubernetesAPIApprovalPolicyConformant';
  const value = stringAt(objectAt(definition, 'metadata', 'annotations'), APPROVAL_ANNOTATION);
  if (value.startsWith('unapproved')) {
    return { type, status: 'False', reason: 'UnapprovedAnnotation', message: `not approved: ${JSON.stringify(value)}` };
  }
  if (URL.canParse(value)) return { type, status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${value}` };
  const problem = value === '' ? 'MissingAnnotation' : 'InvalidAnnotation';
  return { type, status: 'False', reason: problem, message: `protected groups must have approval annotation "${APPROVAL_ANNOTATION}"` };
}
