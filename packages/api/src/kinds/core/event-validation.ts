/** Events in their stored form. Those that carry `eventTime` follow stricter rules than the old kind. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, invalid, required } from '../../field-error.ts';
import { stringAt } from '../../json-value.ts';
import { checkQualifiedName } from '../../name-syntax.ts';
import { checked } from '../rules.ts';

const REPORTER_LENGTH_MAX = 128;
const MESSAGE_LENGTH_MAX = 1024;
const ELSEWHERE = 'does not match event.namespace';

export function validateEvent(event: JsonObject): FieldError[] {
  const namespace = stringAt(event, 'metadata', 'namespace');
  const target = stringAt(event, 'involvedObject', 'namespace');
  const path = 'involvedObject.namespace';
  const errors: FieldError[] = [];
  if (stringAt(event, 'eventTime') === '') {
    if (target === '' ? namespace !== 'default' && namespace !== '' : namespace !== target) errors.push(invalid(path, target, ELSEWHERE));
    return errors;
  }
  // Events about objects without a namespace live in one of two.
  if (target === '' ? namespace !== 'default' && namespace !== 'kube-system' : namespace !== target)
    errors.push(invalid(path, target, ELSEWHERE));
  const controller = stringAt(event, 'reportingComponent');
  if (controller === '') errors.push(required('reportingController'));
  else errors.push(...checked('reportingController', controller, checkQualifiedName));
  const instance = stringAt(event, 'reportingInstance');
  if (instance === '') errors.push(required('reportingInstance'));
  for (const [field, value, max] of [
    ['reportingInstance', instance, REPORTER_LENGTH_MAX],
    ['action', stringAt(event, 'action'), REPORTER_LENGTH_MAX],
    ['reason', stringAt(event, 'reason'), REPORTER_LENGTH_MAX],
    ['message', stringAt(event, 'message'), MESSAGE_LENGTH_MAX],
  ] as const) {
    if ((field === 'action' || field === 'reason') && value === '') errors.push(required(field));
    if (value.length > max) errors.push(invalid(field, value, `can have at most ${max} characters`));
  }
  return errors;
}
