import type { JsonObject } from '../../definition.ts';
import { ensureObject, own, stringAt } from '../../json-value.ts';

const UID_LABEL = 'batch.kubernetes.io/controller-uid';
const NAME_LABEL = 'batch.kubernetes.io/job-name';

/**
 * Labels a new Job's Pods with the Job's own uid and name and selects by the uid, so that two Jobs never own one Pod.
 * Clients with `manualSelector` do this themselves. The object has its uid and name by now.
 */
export function generateJobSelector(job: JsonObject): void {
  const spec = ensureObject(job, 'spec');
  if (own(spec, 'manualSelector') === true) return;
  const uid = stringAt(job, 'metadata', 'uid');
  const name = stringAt(job, 'metadata', 'name');
  const labels = ensureObject(ensureObject(ensureObject(spec, 'template'), 'metadata'), 'labels');
  for (const [key, value] of [
    [UID_LABEL, uid],
    ['controller-uid', uid],
    [NAME_LABEL, name],
    ['job-name', name],
  ] as const) {
    labels[key] = value;
  }
  const selector = ensureObject(spec, 'selector');
  ensureObject(selector, 'matchLabels')[UID_LABEL] = uid;
}
