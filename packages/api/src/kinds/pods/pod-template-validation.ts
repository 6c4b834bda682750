/** Templates, as the kinds that make Pods hold them. */
import type { JsonObject } from '../../definition.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../../field-error.ts';
import { listAt, objectAt, own, stringAt } from '../../json-value.ts';
import {
  compileLabelSelector,
  type LabelSelectorObject,
  type Labels,
  selectorOfLabels,
  validateLabelSelector,
  validateLabels,
} from '../../label-selector.ts';
import { validateAnnotations } from '../../object-meta-validation.ts';
import { validatePodSpec } from './pod-spec-validation.ts';

/** Faults of a template at `path`. */
export function validatePodTemplate(template: JsonObject | undefined, path: string): FieldError[] {
  if (template === undefined) return [required(path)];
  const metadata = objectAt(template, 'metadata');
  const spec = objectAt(template, 'spec') ?? {};
  const errors = [
    ...validateLabels((objectAt(metadata, 'labels') ?? {}) as Labels, `${path}.labels`),
    ...validateAnnotations(metadata, `${path}.annotations`),
    ...validatePodSpec(spec, `${path}.spec`),
  ];
  if (listAt(spec, 'ephemeralContainers').length > 0) {
    errors.push(forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
  return errors;
}

/** A template whose Pods are to run for ever. `kind` is named in messages. */
export function validateServingTemplate(template: JsonObject | undefined, path: string, kind: string): FieldError[] {
  const errors = validatePodTemplate(template, path);
  const spec = objectAt(template, 'spec');
  const policy = stringAt(spec, 'restartPolicy');
  if (policy !== '' && policy !== 'Always') errors.push(notSupported(`${path}.spec.restartPolicy`, policy, ['Always']));
  if (spec !== undefined && own(spec, 'activeDeadlineSeconds') !== undefined) {
    errors.push(forbidden(`${path}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kind} is not Supported`));
  }
  return errors;
}

/** Faults of a selector, and of a template that it would not find. */
export function validateTemplateSelector(spec: JsonObject, path: string, kind: string): FieldError[] {
  const selector = objectAt(spec, 'selector') as LabelSelectorObject | undefined;
  if (selector === undefined) return [required(`${path}.selector`)];
  const errors = validateLabelSelector(selector, `${path}.selector`);
  if (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0) {
    errors.push(invalid(`${path}.selector`, selector, `empty selector is invalid for ${kind}`));
  }
  if (errors.length > 0) return errors;
  return matchesTemplate(compileLabelSelector(selector).matches(templateLabels(spec)), spec, path);
}

/** The same where the selector is a plain map of labels. */
export function validateTemplateLabels(spec: JsonObject, path: string): FieldError[] {
  const selector = (objectAt(spec, 'selector') ?? {}) as Labels;
  if (Object.keys(selector).length === 0) return [required(`${path}.selector`)];
  return matchesTemplate(selectorOfLabels(selector).matches(templateLabels(spec)), spec, path);
}

function matchesTemplate(matches: boolean, spec: JsonObject, path: string): FieldError[] {
  if (matches || objectAt(spec, 'template') === undefined) return [];
  return [invalid(`${path}.template.metadata.labels`, templateLabels(spec), '`selector` does not match template `labels`')];
}

function templateLabels(spec: JsonObject): Labels {
  return (objectAt(spec, 'template', 'metadata', 'labels') ?? {}) as Labels;
}
