/** Schemas of custom kinds as they are published: with what every object has, which definitions need not spell out. Pure. */
import type { SchemaNode } from '@dure/api';
import { describeField } from './descriptions.ts';

const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/**
 * @param older For readers of Swagger 2.0, who take what has properties to have no others: of objects that may hold anything it says no more than that
 * they are objects.
 */
export function publishedSchema(schema: SchemaNode, older: boolean): SchemaNode {
  if (older && schema['x-kubernetes-preserve-unknown-fields'] === true) return { type: 'object' };
  const { properties } = withEmbedded(schema, older);
  return { ...schema, type: 'object', properties: { ...properties, ...objectFields() } };
}

/** `node` with the fields of objects that are embedded in it, at any depth. */
function withEmbedded(node: SchemaNode, older: boolean): SchemaNode {
  const { properties, items, additionalProperties } = node;
  const inner: SchemaNode = {
    ...node,
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, withEmbedded(child, older)])) }),
    ...(items === undefined ? {} : { items: withEmbedded(items, older) }),
    ...(typeof additionalProperties === 'object' ? { additionalProperties: withEmbedded(additionalProperties, older) } : {}),
  };
  if (node['x-kubernetes-embedded-resource'] !== true || (older && node['x-kubernetes-preserve-unknown-fields'] === true)) return inner;
  return {
    ...inner,
    properties: { ...inner.properties, ...objectFields() },
    required: [...new Set([...(node.required ?? []), 'kind', 'apiVersion'])],
  };
}

function objectFields(): Record<'apiVersion' | 'kind' | 'metadata', SchemaNode> {
  const described = (field: string): { readonly description?: string } => {
    const description = describeField('', field);
    return description === undefined ? {} : { description };
  };
  return {
    apiVersion: { type: 'string', ...described('apiVersion') },
    kind: { type: 'string', ...described('kind') },
    metadata: { ref: OBJECT_META, ...described('metadata') },
  };
}
