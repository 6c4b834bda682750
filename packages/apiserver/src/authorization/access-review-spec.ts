import { type LabelRequirement, parseFieldSelector, parseLabelSelector, SelectorError } from '@dure/api';
import type { AuthorizationQuery } from '../contract/authorizer.ts';

/** A requirement of either sort of selector, as access reviews spell it. */
interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** The `spec` of a SubjectAccessReview. Every text of the attributes is there, '' where the question says nothing. */
export interface AccessReviewSpec {
  readonly user: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  readonly resourceAttributes?: {
    readonly namespace: string;
    readonly verb: string;
    readonly group: string;
    readonly version: string;
    readonly resource: string;
    readonly subresource: string;
    readonly name: string;
    readonly fieldSelector?: { readonly requirements: readonly Requirement[] };
    readonly labelSelector?: { readonly requirements: readonly Requirement[] };
  };
  readonly nonResourceAttributes?: { readonly path: string; readonly verb: string };
}

/** The question as others are asked it. Pure. */
export function accessReviewSpec(query: AuthorizationQuery): AccessReviewSpec {
  const { user, verb } = query;
  const subject = { user: user.name, uid: user.uid ?? '', groups: user.groups, extra: user.extra ?? {} };
  if (query.kind === 'path') return { ...subject, nonResourceAttributes: { path: query.path, verb } };
  const { namespace, group, version, resource, subresource, name } = query;
  const fields = fieldRequirements(query.fieldSelector ?? '');
  const labels = labelRequirements(query.labelSelector ?? '');
  return {
    ...subject,
    resourceAttributes: {
      namespace,
      verb,
      group,
      version,
      resource,
      subresource,
      name,
      ...(fields.length > 0 ? { fieldSelector: { requirements: fields } } : {}),
      ...(labels.length > 0 ? { labelSelector: { requirements: labels } } : {}),
    },
  };
}

/** A selector that cannot be read narrows nothing: the request fails for it later. */
function fieldRequirements(text: string): Requirement[] {
  return readable(() =>
    parseFieldSelector(text).requirements.map(({ field, operator, value }) => ({
      key: field,
      operator: operator === '=' ? 'In' : 'NotIn',
      values: [value],
    })),
  );
}

function labelRequirements(text: string): Requirement[] {
  return readable(() =>
    parseLabelSelector(text)
      // The API's selectors of objects have no order of numbers.
      .requirements.filter(({ operator }: LabelRequirement) => operator !== 'Gt' && operator !== 'Lt')
      .map(({ key, operator, values }) => ({ key, operator, ...(values.length > 0 ? { values } : {}) })),
  );
}

function readable(read: () => Requirement[]): Requirement[] {
  try {
    return read();
  } catch (error) {
    if (error instanceof SelectorError) return [];
    throw error;
  }
}
