import { type JsonObject, stringAt } from '@dure/api';
import type { AdmissionRequest } from '../contract/admission.ts';
import type { ObjectReader } from '../contract/object-reader.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { asObject } from './pod-shape.ts';

const LABELS = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

/** Tells a Pod where its node stands, so that what runs in it can ask. A binding hands its labels on to the Pod. @see KEP-4742 */
export function podTopologyLabels(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'PodTopologyLabels',
    async mutate(request) {
      const node = nodeNameIn(request);
      if (node === '' || request.object === undefined) return;
      const labels = (await reader.get('', 'nodes', undefined, node))?.metadata.labels ?? {};
      const topology = Object.fromEntries(LABELS.filter((key) => labels[key] !== undefined).map((key) => [key, labels[key] ?? '']));
      if (Object.keys(topology).length === 0) return;
      const metadata = asObject(request.object.metadata) ?? {};
      request.object.metadata = { ...metadata, labels: { ...asObject(metadata.labels), ...topology } as JsonObject };
    },
  };
}

/** The node that a Pod is created on or bound to; '' for every other request. */
function nodeNameIn({ operation, group, resource, subresource, object }: AdmissionRequest): string {
  if (operation !== 'CREATE' || group !== '' || resource !== 'pods') return '';
  if (subresource === '') return stringAt(object, 'spec', 'nodeName');
  return subresource === 'binding' && stringAt(object, 'target', 'kind') === 'Node' ? stringAt(object, 'target', 'name') : '';
}
