/** Rules in a schema (`x-kubernetes-validations`): compiled, and run over objects. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules */
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { type FieldError, type FieldErrorReason, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { equalJson, isJsonObject, own, stringAt, trueAt } from '../json-value.ts';
import { formerItem } from '../schema/structural-validation.ts';
import { Budget, OBJECT_COST_MAX } from './budget.ts';
import { CelBudgetError, CelCompileError, CelEvaluationError } from './cel-error.ts';
import { type CelType, optionalOf } from './cel-type.ts';
import { type CelValue, Optional } from './cel-value.ts';
import { UNBOUNDED } from './cost-range.ts';
import { CelCompiler, type Expression } from './expression.ts';
import { RuleCosts } from './rule-costs.ts';
import { type Bounds, boundsOf, childrenMax, isEmbedded, occurrencesMax } from './schema-bounds.ts';
import { SchemaValues, typeOfNode } from './schema-values.ts';

const REASONS: readonly FieldErrorReason[] = ['FieldValueInvalid', 'FieldValueForbidden', 'FieldValueRequired', 'FieldValueDuplicate'];
const MESSAGE_BYTES_MAX = 5 * 1024;
/** More rules than this are no schema but an attack on whoever compiles them. */
const RULES_MAX = 5_000;

interface CompiledRule {
  readonly rule: string;
  readonly expression: Expression;
  readonly message: string;
  readonly messageExpression: Expression | undefined;
  readonly messageText: string;
  readonly reason: string;
  readonly fieldPath: string;
  readonly optionalOldSelf: boolean;
}

/** A node of the schema with rules at it or below it. */
interface RuleNode {
  readonly node: SchemaNode;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuleNode>;
  readonly items: RuleNode | undefined;
  readonly values: RuleNode | undefined;
}

/** All rules of one schema. Those that do not compile are passed over: a definition with such rules is not let in. */
export class ValidationRules {
  readonly #root: RuleNode | undefined;

  constructor(schema: SchemaNode) {
    this.#root = hasRules(schema) ? ruleTree(schema, new CelCompiler(), true) : undefined;
  }

  get isEmpty(): boolean {
    return this.#root === undefined;
  }

  /**
   * What the rules find wrong with `object`.
   * @param old The object as it stood. Rules about what did not change are not run, but for those that compare with it.
   */
  check(object: JsonObject, old: JsonObject | undefined): FieldError[] {
    if (this.#root === undefined) return [];
    return new Run().check(this.#root, object, old);
  }
}

/**
 * Faults of the rules themselves, and what they cost.
 * @param path Of the schema. @param schema A root schema. @param isStored It stands already as it is, so that no single rule is too dear.
 */
export function ruleFaults(schema: SchemaNode, path: string, isStored = false): FieldError[] {
  if (!hasRules(schema)) return [];
  const found: FieldError[] = [];
  const [compiler, costs] = [new CelCompiler(), new RuleCosts()];
  let count = 0;
  const visit = (node: SchemaNode, at: string, place: RulePlace): void => {
    const rules = node['x-kubernetes-validations'] ?? [];
    count += rules.length;
    if (count > RULES_MAX) return;
    if (rules.length > 0) {
      const subject = subjectOf(node, place);
      for (const [index, rule] of rules.entries()) {
        if (!isJsonObject(rule)) continue;
        const { faults, expensive } = faultsOfRule(rule, subject, `${at}.x-kubernetes-validations[${index}]`, compiler, costs);
        found.push(...(isStored ? [] : expensive), ...faults);
      }
    }
    const times = timesBelow(node, place);
    const { uncorrelatable = node['x-kubernetes-map-type'] === 'atomic' ? at : undefined } = place;
    const below = { root: false, times, uncorrelatable };
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      visit(child, `${at}.properties[${name}]`, below);
    }
    if (typeof node.additionalProperties === 'object') {
      visit(node.additionalProperties, `${at}.additionalProperties`, below);
    }
    if (node.items !== undefined) {
      const isKeyed = node['x-kubernetes-list-type'] === 'map';
      visit(node.items, `${at}.items`, { ...below, uncorrelatable: place.uncorrelatable ?? (isKeyed ? undefined : at) });
    }
  };
  visit(schema, path, { root: true, times: 1, uncorrelatable: undefined });
  if (count > RULES_MAX) found.push(forbidden(path, `a schema may have at most ${RULES_MAX} validation rules`));
  return [...found, ...costs.faults(path)];
}

interface RulePlace {
  readonly root: boolean;
  /** How often one object holds it at most; `undefined`: something above has no bound. */
  readonly times: number | undefined;
  /** The list or map, if any, within which nothing tells which new value was which old one. */
  readonly uncorrelatable: string | undefined;
}

/** What rules of one node are about. */
interface RuleSubject {
  readonly node: SchemaNode;
  readonly type: CelType;
  readonly bounds: Bounds | undefined;
  readonly times: number;
  readonly uncorrelatable: string | undefined;
}

function subjectOf(node: SchemaNode, { root, times, uncorrelatable }: RulePlace): RuleSubject {
  const bounds = boundsOf(node, root || isEmbedded(node));
  return {
    node,
    type: typeOfNode(node, root),
    bounds,
    times: times ?? (bounds === undefined ? 1 : occurrencesMax(bounds)),
    uncorrelatable,
  };
}

function timesBelow(node: SchemaNode, { times }: RulePlace): number | undefined {
  const children = childrenMax(node);
  return times === undefined || children === undefined ? undefined : Math.min(times * children, UNBOUNDED);
}

/** @returns `expensive`: faults of cost, apart from all others. */
function faultsOfRule(
  rule: JsonObject,
  { node, type, bounds, times, uncorrelatable }: RuleSubject,
  path: string,
  compiler: CelCompiler,
  costs: RuleCosts,
): { readonly faults: FieldError[]; readonly expensive: FieldError[] } {
  const errors: FieldError[] = [];
  const expensive: FieldError[] = [];
  const text = stringAt(rule, 'rule');
  const message = stringAt(rule, 'message');
  if (text.trim() === '') return { faults: [required(`${path}.rule`, 'rule is not specified')], expensive };
  if (own(rule, 'message') !== undefined && message.trim() === '')
    errors.push(invalid(`${path}.message`, message, 'message must be non-empty if specified'));
  else if (/[\n\r]/.test(message.trim())) errors.push(invalid(`${path}.message`, message, 'message must not contain line breaks'));
  if (/[\n\r]/.test(text.trim()) && message === '')
    errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'));
  const reason = stringAt(rule, 'reason');
  if (reason !== '' && !REASONS.includes(reason as FieldErrorReason)) errors.push(notSupported(`${path}.reason`, reason, REASONS));
  const fieldPath = stringAt(rule, 'fieldPath');
  if (own(rule, 'fieldPath') !== undefined && !pathExists(fieldPath, node)) {
    errors.push(invalid(`${path}.fieldPath`, fieldPath, 'fieldPath must be a valid path: it does not refer to a field of the schema'));
  }
  const usesOld = own(rule, 'optionalOldSelf') !== undefined;
  const expression = compiled(compiler, text, { type, bounds }, trueAt(rule, 'optionalOldSelf'));
  if (expression instanceof CelCompileError)
    errors.push(invalid(`${path}.rule`, shownRule(rule), `compilation failed: ${expression.message}`));
  else {
    if (expression.type.kind !== 'bool') errors.push(invalid(`${path}.rule`, shownRule(rule), 'cel expression must evaluate to a bool'));
    else expensive.push(...costs.add('rule', `${path}.rule`, expression.costMax, times));
    const transition = expression.reads.has('oldSelf');
    if (transition && uncorrelatable !== undefined) {
      errors.push(
        invalid(`${path}.rule`, text, `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`),
      );
    }
    if (usesOld && !transition)
      errors.push(invalid(`${path}.optionalOldSelf`, trueAt(rule, 'optionalOldSelf'), 'may not be set if oldSelf is not used in rule'));
  }
  const messageText = stringAt(rule, 'messageExpression');
  if (own(rule, 'messageExpression') !== undefined) {
    if (messageText.trim() === '') errors.push(required(`${path}.messageExpression`, 'must be non-empty if specified'));
    else {
      const shown = compiled(compiler, messageText, { type, bounds }, trueAt(rule, 'optionalOldSelf'));
      if (shown instanceof CelCompileError) {
        errors.push(invalid(`${path}.messageExpression`, shownRule(rule), `messageExpression compilation failed: ${shown.message}`));
      } else if (shown.type.kind !== 'string') {
        errors.push(invalid(`${path}.messageExpression`, shownRule(rule), 'messageExpression must evaluate to a string'));
        // A message is made once for each failure, not for each value.
      } else expensive.push(...costs.add('messageExpression', `${path}.messageExpression`, shown.costMax, 1));
    }
  }
  return { faults: errors, expensive };
}

/** A rule as upstream's messages show it. */
function shownRule(rule: JsonObject): JsonObject {
  return {
    Rule: stringAt(rule, 'rule'),
    Message: stringAt(rule, 'message'),
    MessageExpression: stringAt(rule, 'messageExpression'),
    Reason: own(rule, 'reason') ?? null,
    FieldPath: stringAt(rule, 'fieldPath'),
    OptionalOldSelf: own(rule, 'optionalOldSelf') ?? null,
  };
}

function compiled(
  compiler: CelCompiler,
  text: string,
  { type, bounds }: { readonly type: CelType; readonly bounds?: Bounds | undefined },
  optionalOld: boolean,
): Expression | CelCompileError {
  try {
    const variables = [
      { name: 'self', type },
      { name: 'oldSelf', type: optionalOld ? optionalOf(type) : type },
    ];
    return compiler.compile(text, variables, bounds);
  } catch (error) {
    if (error instanceof CelCompileError) return error;
    throw error;
  }
}

/** `.a.b['c-d']` in steps; `undefined`: it is no such path. */
function pathSteps(path: string): readonly string[] | undefined {
  const steps: string[] = [];
  let rest = path.trim();
  while (rest !== '') {
    const match = /^(?:\.([a-zA-Z_][a-zA-Z0-9_]*)|\['((?:\\.|[^'\\])*)'\])/.exec(rest);
    if (match === null) return undefined;
    steps.push(match[1] ?? (match[2] ?? '').replace(/\\(.)/g, '$1'));
    rest = rest.slice(match[0].length);
  }
  return steps.length === 0 ? undefined : steps;
}

function pathExists(path: string, node: SchemaNode): boolean {
  let at: SchemaNode | undefined = node;
  for (const step of pathSteps(path) ?? ['']) {
    const properties: Readonly<Record<string, SchemaNode>> = at?.properties ?? {};
    if (Object.hasOwn(properties, step)) at = properties[step];
    else at = typeof at?.additionalProperties === 'object' ? at.additionalProperties : undefined;
    if (at === undefined) return false;
  }
  return true;
}

function hasRules(node: SchemaNode): boolean {
  return (
    (node['x-kubernetes-validations']?.length ?? 0) > 0 ||
    Object.values(node.properties ?? {}).some(hasRules) ||
    (node.items !== undefined && hasRules(node.items)) ||
    (typeof node.additionalProperties === 'object' && hasRules(node.additionalProperties))
  );
}

function ruleTree(node: SchemaNode, compiler: CelCompiler, root: boolean): RuleNode {
  const type = typeOfNode(node, root);
  const below = (child: SchemaNode | undefined): RuleNode | undefined =>
    child === undefined || !hasRules(child) ? undefined : ruleTree(child, compiler, false);
  const properties = new Map<string, RuleNode>();
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const found = below(child);
    if (found !== undefined) properties.set(name, found);
  }
  return {
    node,
    rules: (node['x-kubernetes-validations'] ?? []).flatMap((rule) => (isJsonObject(rule) ? compileRule(rule, type, compiler) : [])),
    properties,
    items: below(node.items),
    values: below(typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined),
  };
}

function compileRule(rule: JsonObject, type: CelType, compiler: CelCompiler): CompiledRule[] {
  const optionalOldSelf = trueAt(rule, 'optionalOldSelf');
  const expression = compiled(compiler, stringAt(rule, 'rule'), { type }, optionalOldSelf);
  if (expression instanceof CelCompileError) return [];
  const messageText = stringAt(rule, 'messageExpression');
  const shown = messageText === '' ? undefined : compiled(compiler, messageText, { type }, optionalOldSelf);
  return [
    {
      rule: stringAt(rule, 'rule').trim(),
      expression,
      message: stringAt(rule, 'message').trim(),
      messageExpression: shown instanceof CelCompileError ? undefined : shown,
      messageText,
      reason: stringAt(rule, 'reason'),
      fieldPath: stringAt(rule, 'fieldPath'),
      optionalOldSelf,
    },
  ];
}

/** One object's rules, within one budget. */
class Run {
  readonly #budget = new Budget(OBJECT_COST_MAX);
  readonly #values = new SchemaValues();
  readonly #errors: FieldError[] = [];
  #isOver = false;

  check(root: RuleNode, object: JsonObject, old: JsonObject | undefined): FieldError[] {
    this.#visit(root, object, '', old, true);
    return this.#errors;
  }

  #visit(at: RuleNode, value: Json, path: string, old: Json | undefined, root = false): void {
    if (value === null || this.#isOver) return;
    const unchanged = old !== undefined && old !== null && equalJson(value, old);
    for (const rule of at.rules) {
      if (this.#isOver) return;
      const transition = rule.expression.reads.has('oldSelf');
      if (transition ? (old === undefined || old === null) && !rule.optionalOldSelf : unchanged) continue;
      this.#run(rule, at.node, value, path, old ?? undefined, root);
    }
    if (isJsonObject(value)) {
      const before = isJsonObject(old) ? old : undefined;
      const atomic = at.node['x-kubernetes-map-type'] === 'atomic' && !unchanged;
      for (const [key, item] of Object.entries(value)) {
        const below =
          at.properties.get(key) ?? (at.node.properties !== undefined && Object.hasOwn(at.node.properties, key) ? undefined : at.values);
        if (below !== undefined)
          this.#visit(
            below,
            item,
            path === '' ? key : `${path}${at.properties.has(key) ? `.${key}` : `[${key}]`}`,
            atomic ? undefined : own(before, key),
          );
      }
    } else if (Array.isArray(value) && at.items !== undefined) {
      for (const [index, item] of value.entries()) this.#visit(at.items, item, `${path}[${index}]`, formerItem(item, at.node, old));
    }
  }

  #run(rule: CompiledRule, node: SchemaNode, value: Json, path: string, old: Json | undefined, root: boolean): void {
    const field = path === '' && root ? '<nil>' : path;
    const type = node.type ?? 'any';
    const fail = (detail: string): void => void this.#errors.push(invalid(field, type, detail));
    try {
      const self = this.#values.of(value, node, root);
      const before = old === undefined ? undefined : this.#values.of(old, node, root);
      // Rules that do not read it may find anything there.
      const oldSelf: CelValue = rule.optionalOldSelf ? new Optional(before) : (before ?? null);
      if (rule.expression.evaluate([self, oldSelf], this.#budget) === true) return;
      this.#errors.push(failure(rule, path, field, type, this.#messageOf(rule, self, oldSelf)));
    } catch (error) {
      if (error instanceof CelBudgetError) {
        this.#isOver = this.#budget.left <= 0;
        fail(
          this.#isOver
            ? 'validation failed due to running out of cost budget, no further validation rules will be run'
            : `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${ownName(rule)}`,
        );
        this.#isOver = true;
      } else if (!(error instanceof CelEvaluationError)) throw error;
      else if (!error.message.startsWith('no such overload')) fail(`${error.message} evaluating rule: ${ownName(rule)}`);
      else
        fail(
          `'${error.message}': call arguments did not match a supported operator, function or macro signature for rule: ${ownName(rule)}`,
        );
    }
  }

  /** What the rule's own words for this failure are; a message that cannot be made gives way to the fixed one. */
  #messageOf({ rule, message, messageExpression, messageText }: CompiledRule, self: CelValue, oldSelf: CelValue): string {
    const usual = message === '' ? `failed rule: ${rule}` : message;
    if (messageExpression === undefined) return usual;
    try {
      const shown = messageExpression.evaluate([self, oldSelf], this.#budget);
      if (typeof shown !== 'string') return usual;
      const text = shown.trim();
      return text === '' || text.includes('\n') || Buffer.byteLength(text) > MESSAGE_BYTES_MAX ? usual : text;
    } catch (error) {
      if (error instanceof CelEvaluationError) return usual;
      if (!(error instanceof CelBudgetError)) throw error;
      this.#isOver = true;
      return this.#budget.left <= 0
        ? 'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run'
        : `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(messageText)}`;
    }
  }
}

/** What messages about evaluation call a rule. */
function ownName({ rule, message }: CompiledRule): string {
  return message === '' ? rule : message;
}

function failure({ reason, fieldPath }: CompiledRule, path: string, field: string, type: string, message: string): FieldError {
  const steps = fieldPath === '' ? [] : (pathSteps(fieldPath) ?? []);
  const at = steps.length === 0 ? field : [path, ...steps].filter((step) => step !== '').join('.');
  switch (reason) {
    case 'FieldValueForbidden':
      return forbidden(at, message);
    case 'FieldValueRequired':
      return required(at, message);
    case 'FieldValueDuplicate':
      return { reason, field: at, message: `Duplicate value: ${JSON.stringify(type)}: ${message}` };
    default:
      return invalid(at, type, message);
  }
}
