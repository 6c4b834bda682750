/** What a Pod's reported status may not undo. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden } from '../../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt } from '../../json-value.ts';

/** A container that ended for good does not run again: with `Never` any end, with `OnFailure` an end with exit code 0. */
export function validatePodStatusUpdate(pod: JsonObject, old: JsonObject): FieldError[] {
  const policy = stringAt(pod, 'spec', 'restartPolicy');
  const spec = objectAt(pod, 'spec') ?? {};
  const errors: FieldError[] = [];
  for (const [statuses, containers] of [
    ['containerStatuses', 'containers'],
    ['initContainerStatuses', 'initContainers'],
  ] as const) {
    const path = `status.${statuses}`;
    const before = new Map(objectsAt(old, 'status', statuses).map((status) => [stringAt(status, 'name'), status]));
    for (const [index, status] of objectsAt(pod, 'status', statuses).entries()) {
      const name = stringAt(status, 'name');
      const ended = objectAt(before.get(name), 'state', 'terminated');
      if (ended === undefined || objectAt(status, 'state', 'terminated') !== undefined) continue;
      const container = objectsAt(spec, containers).find((each) => stringAt(each, 'name') === name);
      if (container !== undefined && mayRestart(container, policy, numberAt(ended, 'exitCode') ?? 0, containers === 'initContainers'))
        continue;
      if (container === undefined) continue;
      errors.push(forbidden(`${path}[${index}].state`, 'may not be transitioned to non-terminated state'));
    }
  }
  return errors;
}

function mayRestart(container: JsonObject, podPolicy: string, exitCode: number, isInit: boolean): boolean {
  // Rules of its own decide at run time.
  if (objectsAt(container, 'restartPolicyRules').length > 0) return true;
  const policy = stringAt(container, 'restartPolicy') || podPolicy;
  if (policy === 'Always') return true;
  // Init containers run again when their Pod's sandbox was lost.
  return policy === 'OnFailure' ? exitCode !== 0 || isInit : false;
}
