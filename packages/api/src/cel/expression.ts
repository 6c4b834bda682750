/**
 * Expressions: text to a checked tree of closures, with a price on every step. The syntax is the library's; types and evaluation are our own,
 * because the library's evaluator can neither be stopped nor be kept from regular expressions that backtrack.
 * @see https://github.com/google/cel-spec/blob/master/doc/langdef.md
 */
import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { authorizerFunctions } from './authorizer-functions.ts';
import { Budget, EXPRESSION_COST_MAX } from './budget.ts';
import { CelCompileError, CelEvaluationError, locatedMessage } from './cel-error.ts';
import {
  BOOL,
  type CelType,
  DOUBLE,
  DYN,
  EMPTY,
  INT,
  isAssignable,
  listOf,
  mapOf,
  optionalOf,
  showType,
  TYPE,
  UINT,
  unify,
} from './cel-type.ts';
import {
  type CelKey,
  CelMap,
  type CelValue,
  compareValues,
  equalValues,
  FORMAT,
  isList,
  keyOf,
  Optional,
  TypeName,
  typeOfValue,
  Uint,
  URL_TYPE,
} from './cel-value.ts';
import { CostEstimator, type Estimate, LIST_COST, MAP_COST, MESSAGE_COST, TEXT_FACTOR, type VariableEstimate } from './cost-estimate.ts';
import { ANY_SIZE, either, exactly, FREE, type Range, scaled } from './cost-range.ts';
import { comparisonCost, costOfFunction, countOf, selfComparisonCost } from './function-costs.ts';
import { kubernetesFunctions } from './kubernetes-functions.ts';
import { listFunctions } from './list-functions.ts';
import { CelObject, CONSTRUCT, constructedType, fieldFault, patchFunctions, rewriteConstructions } from './object-construction.ts';
import { dispatch, type Overload, OverloadTable } from './overload.ts';
import type { Bounds } from './schema-bounds.ts';
import { arithmetic, arithmeticType, int64, standardFunctions, TYPE_NAMES } from './standard-functions.ts';
import { textFunctions } from './text-functions.ts';

export interface Variable {
  /** Also with one dot: `variables.sum`, `authorizer.requestResource`. */
  readonly name: string;
  readonly type: CelType;
}

/** The value of a variable that is made when it is first read, if it ever is. What goes wrong then goes wrong at the place that reads it. */
export class Deferred {
  readonly #make: (budget: Budget) => CelValue;
  #made: { readonly value: CelValue } | { readonly error: CelEvaluationError } | undefined;

  constructor(make: (budget: Budget) => CelValue) {
    this.#make = make;
  }

  /** @throws {CelEvaluationError} @throws {CelBudgetError} */
  value(budget: Budget): CelValue {
    if (this.#made === undefined) {
      try {
        this.#made = { value: this.#make(budget) };
      } catch (error) {
        // Only what would happen again is remembered: an answer that is still on its way comes.
        if (!(error instanceof CelEvaluationError)) throw error;
        this.#made = { error };
      }
    }
    if ('error' in this.#made) throw this.#made.error;
    return this.#made.value;
  }
}

/** A compiled expression. */
export interface Expression {
  readonly type: CelType;
  /** Names of the given variables that it reads. */
  readonly reads: ReadonlySet<string>;
  /** The most that it can cost; {@link UNBOUNDED} and near it where nothing bounds what it looks at. */
  readonly costMax: number;
  /**
   * @param values Of the variables, in the order they were given.
   * @throws {CelEvaluationError} @throws {CelBudgetError} Within `budget`, and never more than one expression may cost.
   */
  evaluate(values: readonly (CelValue | Deferred)[], budget: Budget): CelValue;
}

/** Longer text is no rule. */
const TEXT_LENGTH_MAX = 64 * 1024;
const LIMITS = { maxAstNodes: 20_000, maxDepth: 100, maxListElements: 1000, maxMapEntries: 1000, maxCallArguments: 32 };
/** Errors are the dearest steps of all, and may be passed over. */
const ERROR_WORK = 200;
/** A turn of a loop that nothing else pays for. */
const TURN_WORK = 1;
const NONE = new Optional(undefined);
/** Functions that are evaluated once where their argument stands in the text. */
const CONVERSIONS: ReadonlySet<string> = new Set(['bool', 'bytes', 'double', 'duration', 'int', 'string', 'timestamp', 'type', 'uint']);
const NAMESPACES: ReadonlySet<string> = new Set(['optional', 'sets', 'lists', 'format', 'ip', 'strings', 'jsonpatch']);
const ARITHMETIC: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%']);
const ORDER: ReadonlySet<string> = new Set(['<', '<=', '>', '>=']);
const ORDERED_KINDS: ReadonlySet<CelType['kind']> = new Set([
  'bool',
  'int',
  'uint',
  'double',
  'string',
  'bytes',
  'timestamp',
  'duration',
  'dyn',
]);
/** Of the names of formats. */
const FORMAT_SIZE_MAX = 64;
const NUMBER_KINDS: ReadonlySet<CelType['kind']> = new Set(['int', 'uint', 'double']);

/** Compiles expressions. Keep one where many are compiled: making it costs more than compiling does. */
export class CelCompiler {
  readonly #constructs: boolean;
  readonly #parser = new Environment({ enableOptionalTypes: true, unlistedVariablesAreDyn: true, limits: LIMITS });
  readonly #functions: OverloadTable;

  /** @param constructs Whether expressions may build objects and JSON patches, as mutations do. */
  constructor({ constructs = false }: { readonly constructs?: boolean } = {}) {
    this.#constructs = constructs;
    this.#functions = new OverloadTable([
      ...standardFunctions,
      ...textFunctions,
      ...listFunctions,
      ...kubernetesFunctions,
      ...authorizerFunctions,
      ...(constructs ? patchFunctions : []),
    ]);
  }

  /**
   * @param bounds Of what every variable holds, for {@link Expression.costMax}. Default: nothing is known.
   * @throws {CelCompileError}
   */
  compile(text: string, variables: readonly Variable[], bounds?: Bounds): Expression {
    if (text.length > TEXT_LENGTH_MAX) throw new CelCompileError(`the expression is longer than ${TEXT_LENGTH_MAX} characters`);
    const rewritten = this.#constructs ? rewriteConstructions(text) : undefined;
    const originOf = (offset: number): number => rewritten?.originOf(offset) ?? offset;
    let tree: ASTNode;
    try {
      tree = this.#parser.parse(rewritten?.text ?? text).ast;
    } catch (cause) {
      if (cause instanceof ParseError || cause instanceof Error) {
        const { summary = cause.message, range } = cause as { readonly summary?: string; readonly range?: { readonly start: number } };
        throw new CelCompileError(locatedMessage(`Syntax error: ${summary}`, text, originOf(range?.start ?? 0)), { cause });
      }
      throw cause;
    }
    const builder = new Builder(
      { text, parsed: rewritten?.text ?? text, originOf },
      this.#functions,
      new CostEstimator(bounds),
      this.#constructs,
    );
    let scope: Scope | undefined;
    for (const { name, type } of variables) scope = builder.declare(scope, name, type);
    const code = builder.build(tree, scope);
    return {
      type: code.type,
      costMax: code.estimate.cost.max,
      reads: new Set(variables.filter((_, slot) => builder.slotsRead.has(slot)).map(({ name }) => name)),
      evaluate(values, budget) {
        const own = new Budget(Math.min(EXPRESSION_COST_MAX, budget.left));
        const before = own.left;
        try {
          return code.run({ slots: [...values], budget: own, total: budget });
        } finally {
          // What is left below zero ended this evaluation already.
          budget.charge(Math.min(before - own.left, budget.left));
        }
      },
    };
  }
}

interface Scope {
  readonly name: string;
  readonly type: CelType;
  readonly slot: number;
  /** Of a variable of a macro. */
  readonly estimate: VariableEstimate | undefined;
  readonly parent: Scope | undefined;
}

interface Frame {
  /** Variables that are being iterated over are set anew for each step. */
  readonly slots: (CelValue | Deferred | undefined)[];
  /** Of this expression. */
  readonly budget: Budget;
  /** Of all expressions together: what a variable costs is not the reader's. */
  readonly total: Budget;
}

interface Code {
  readonly type: CelType;
  readonly estimate: Estimate;
  run(frame: Frame): CelValue;
  /** Variables and what is selected from values: the same without the price of looking it up, which is paid once for all selections. */
  readonly resolve?: ((frame: Frame) => CelValue) | undefined;
  /** Known beforehand, and free. */
  readonly constant?: { readonly value: CelValue } | undefined;
  /** A choice, whose branches are looked up at no price of their own. */
  readonly isChoice?: boolean | undefined;
}

/** What was written, and what was parsed of it. */
interface Source {
  readonly text: string;
  readonly parsed: string;
  /** Leads places in `parsed` back to `text`. */
  originOf(offset: number): number;
}

class Builder {
  readonly slotsRead = new Set<number>();
  readonly #source: Source;
  readonly #functions: OverloadTable;
  readonly #costs: CostEstimator;
  readonly #constructs: boolean;
  #slots = 0;
  /** Whether literals may hold values of several types, as those that are formatted do. */
  #mixes = false;

  constructor(source: Source, functions: OverloadTable, costs: CostEstimator, constructs: boolean) {
    this.#source = source;
    this.#functions = functions;
    this.#costs = costs;
    this.#constructs = constructs;
  }

  /** @param estimate Of a variable of a macro. */
  declare(parent: Scope | undefined, name: string, type: CelType, estimate?: VariableEstimate): Scope {
    const slot = this.#slots;
    this.#slots += 1;
    return { name, type, slot, estimate, parent };
  }

  #fail(message: string, node: ASTNode): CelCompileError {
    const { text, parsed, originOf } = this.#source;
    return new CelCompileError(locatedMessage(message, text, originOf(placeOf(node, parsed))));
  }

  /** @throws {CelCompileError} */
  build(node: ASTNode, scope: Scope | undefined): Code {
    switch (node.op) {
      case 'value':
        return this.#literal(node.args, node);
      case 'id':
        return this.#identifier(node.args, node, scope);
      case '.': {
        const qualified = this.#qualified(node, scope);
        if (qualified !== undefined) return this.#identifier(qualified, node, scope);
        return this.#select(this.build(node.args[0], scope), node.args[1], node);
      }
      case '.?':
        return this.#optionalSelect(this.build(node.args[0], scope), node.args[1], node);
      case '[]':
        return this.#index(this.build(node.args[0], scope), this.build(node.args[1], scope), node);
      case '[?]':
        return this.#optionalIndex(this.build(node.args[0], scope), this.build(node.args[1], scope), node);
      case 'call':
        return this.#call(node.args[0], node.args[1], node, scope);
      case 'rcall':
        return this.#methodCall(node.args[0], node.args[1], node.args[2], node, scope);
      case 'list':
        return this.#list(node.args, scope);
      case 'map':
        return this.#map(node.args, scope);
      case '?:':
        return this.#conditional(node.args, node, scope);
      case '||':
      case '&&':
        return this.#logical(node.op, node.args, node, scope);
      case '!_':
        return this.#not(node.args, node, scope);
      case '-_':
        return this.#negative(node.args, node, scope);
      default:
        return this.#binary(node.op, node.args, node, scope);
    }
  }

  #literal(value: unknown, node: ASTNode): Code {
    const constant = literalValue(value);
    if (constant === undefined) throw this.#fail('unsupported literal', node);
    if (typeof constant === 'bigint' && constant > 2n ** 63n - 1n) throw this.#fail('invalid int literal', node);
    return this.#constant(constant);
  }

  #constant(value: CelValue, type = typeOfValue(value)): Code {
    const size = value instanceof TypeName ? undefined : countOf(value);
    const estimate = this.#costs.literal(size, typeof value === 'bigint' ? value : undefined);
    return { type, estimate, run: () => value, constant: { value } };
  }

  #identifier(name: string, node: ASTNode, scope: Scope | undefined): Code {
    const found = lookUp(scope, name);
    if (found === undefined) {
      if (!TYPE_NAMES.has(name)) throw this.#fail(`undeclared reference to '${name}' (in container '')`, node);
      return { ...this.#constant(new TypeName(name), TYPE), estimate: this.#costs.variable(TYPE, undefined) };
    }
    const { slot, type } = found;
    this.slotsRead.add(slot);
    return lookedUp(type, this.#costs.variable(type, found.estimate), ({ slots, total }) => {
      const value = slots[slot];
      if (value === undefined) throw new CelEvaluationError(`no such attribute: ${name}`);
      return value instanceof Deferred ? value.value(total) : value;
    });
  }

  /** The variable that `a.b` as a whole is, where there is one of that name. */
  #qualified(node: ASTNode, scope: Scope | undefined): string | undefined {
    if (node.op !== '.' || node.args[0].op !== 'id') return undefined;
    const name = `${node.args[0].args}.${node.args[1]}`;
    return lookUp(scope, name) === undefined ? undefined : name;
  }

  /** The type of a field or entry. */
  #memberType(type: CelType, field: string, node: ASTNode): CelType {
    switch (type.kind) {
      case 'dyn':
        return DYN;
      case 'map':
        return type.of;
      case 'optional':
        return this.#memberType(type.of, field, node);
      case 'object': {
        const found = type.fields.get(field);
        if (found === undefined) throw this.#fail(`undefined field '${field}'`, node);
        return found;
      }
      default:
        throw this.#fail(`type '${showType(type)}' does not support field selection`, node);
    }
  }

  #select(operand: Code, field: string, node: ASTNode): Code {
    const type = this.#memberType(operand.type, field, node);
    const estimate = this.#costs.select(operand.estimate, operand.type, field, type);
    if (operand.type.kind === 'optional') return { ...this.#optionalSelect(operand, field, node), estimate };
    return selected(operand, type, estimate, (object, frame) => {
      if (object instanceof Optional) return paidIfPresent(optionalMember(object, field), frame);
      frame.budget.charge(1);
      const value = memberOf(object, field);
      if (value === undefined) throw new CelEvaluationError(`no such key: ${field}`);
      return value;
    });
  }

  #optionalSelect(operand: Code, field: string, node: ASTNode): Code {
    const member = this.#memberType(operand.type, field, node);
    const type = member.kind === 'optional' ? member : optionalOf(member);
    return selected(operand, type, this.#costs.call([operand.estimate], exactly(1), type), (object, frame) =>
      paidIfPresent(optionalMember(object instanceof Optional ? object : new Optional(object), field), frame),
    );
  }

  #elementType(type: CelType, index: CelType, node: ASTNode): CelType {
    switch (type.kind) {
      case 'dyn':
        return DYN;
      case 'optional':
        return this.#elementType(type.of, index, node);
      case 'list':
        if (isAssignable(index, INT) || isAssignable(index, UINT) || isAssignable(index, DOUBLE)) return type.of;
        break;
      case 'map':
        if (isAssignable(index, type.key)) return type.of;
        break;
      default:
        break;
    }
    throw this.#fail(`found no matching overload for '_[_]' applied to '(${showType(type)}, ${showType(index)})'`, node);
  }

  #index(operand: Code, index: Code, node: ASTNode): Code {
    const type = this.#elementType(operand.type, index.type, node);
    if (operand.type.kind === 'optional') return this.#optionalIndex(operand, index, node);
    const indexOf = index.resolve ?? index.run;
    return selected(operand, type, this.#costs.index(operand.estimate, operand.type, index.estimate, type), (container, frame) => {
      const at = indexOf(frame);
      if (container instanceof Optional) return paidIfPresent(optionalElement(container, at), frame);
      frame.budget.charge(1);
      const value = elementOf(container, at);
      if (value === undefined)
        throw new CelEvaluationError(isList(container) ? `index out of bounds: ${String(at)}` : `no such key: ${String(at)}`);
      return value;
    });
  }

  #optionalIndex(operand: Code, index: Code, node: ASTNode): Code {
    const type = optionalOf(this.#elementType(operand.type, index.type, node));
    const estimate = this.#costs.call([operand.estimate, index.estimate], exactly(1), type);
    const indexOf = index.resolve ?? index.run;
    return selected(operand, type, estimate, (container, frame) => {
      const at = indexOf(frame);
      return paidIfPresent(optionalElement(container instanceof Optional ? container : new Optional(container), at), frame);
    });
  }

  #list(items: readonly ASTNode[], scope: Scope | undefined): Code {
    const codes = items.map((item) => this.build(item, scope));
    const type = listOf(this.#common(codes, items));
    const estimate = this.#costs.list(codes.map((code) => code.estimate));
    if (codes.every(({ constant }) => constant !== undefined)) {
      return {
        ...this.#constant(
          codes.map(({ constant }) => constant?.value ?? null),
          type,
        ),
        estimate,
      };
    }
    return {
      type,
      estimate,
      run(frame) {
        frame.budget.charge(LIST_COST);
        return codes.map((code) => code.run(frame));
      },
    };
  }

  #map(entries: readonly (readonly [ASTNode, ASTNode])[], scope: Scope | undefined): Code {
    const [keyNodes, valueNodes] = [entries.map(([key]) => key), entries.map(([, value]) => value)];
    const keys = keyNodes.map((key) => this.build(key, scope));
    const values = valueNodes.map((value) => this.build(value, scope));
    const type = mapOf(this.#common(keys, keyNodes), this.#common(values, valueNodes));
    const estimate = this.#costs.map(
      keys.map((key) => key.estimate),
      values.map((value) => value.estimate),
    );
    const made = (partOf: (code: Code) => CelValue): CelMap =>
      new CelMap(new Map(keys.map((key, index): [CelKey, CelValue] => [keyOf(partOf(key)), partOf(values[index] ?? key)])));
    const run = (frame: Frame): CelValue => made((code) => code.run(frame));
    if ([...keys, ...values].every(({ constant }) => constant !== undefined)) {
      const constant = constantValue(() => made((code) => code.constant?.value ?? null));
      return { type, estimate, run, constant };
    }
    return {
      type,
      estimate,
      run(frame) {
        frame.budget.charge(MAP_COST);
        return run(frame);
      },
    };
  }

  /** The type that all parts of a literal share. @throws {CelCompileError} They share none. */
  #common(codes: readonly Code[], nodes: readonly ASTNode[]): CelType {
    let common = EMPTY;
    for (const [index, { type }] of codes.entries()) {
      const next = unify(common, type) ?? (this.#mixes ? DYN : undefined);
      if (next === undefined)
        throw this.#fail(`expected type '${showType(common)}' but found '${showType(type)}'`, nodes[index] as ASTNode);
      common = next;
    }
    return common;
  }

  #boolean(node: ASTNode, scope: Scope | undefined, where: string): Code {
    const code = this.build(node, scope);
    if (!isAssignable(code.type, BOOL))
      throw this.#fail(`found no matching overload for '${where}' applied to '(${showType(code.type)})'`, node);
    return code;
  }

  #conditional([condition, yes, no]: readonly [ASTNode, ASTNode, ASTNode], node: ASTNode, scope: Scope | undefined): Code {
    const test = this.#boolean(condition, scope, '_?_:_');
    const [left, right] = [this.build(yes, scope), this.build(no, scope)];
    const type = unify(left.type, right.type);
    if (type === undefined) {
      throw this.#fail(`found no matching overload for '_?_:_' applied to '(bool, ${showType(left.type)}, ${showType(right.type)})'`, node);
    }
    const [one, other] = [left.resolve ?? left.run, right.resolve ?? right.run];
    const run = (frame: Frame): CelValue => (truth(test.run(frame)) ? one(frame) : other(frame));
    return { type, estimate: this.#costs.conditional(test.estimate, left.estimate, right.estimate), run, resolve: run, isChoice: true };
  }

  /** Either side decides alone, whatever error the other one has. */
  #logical(operator: '||' | '&&', [a, b]: readonly [ASTNode, ASTNode], _node: ASTNode, scope: Scope | undefined): Code {
    const [left, right] = [this.#boolean(a, scope, `_${operator}_`), this.#boolean(b, scope, `_${operator}_`)];
    const decisive = operator === '||';
    return {
      type: BOOL,
      estimate: this.#costs.logical(left.estimate, right.estimate),
      run(frame) {
        const first = attempt(frame, () => truth(left.run(frame)));
        if (first === decisive) return decisive;
        if (!(first instanceof CelEvaluationError)) return truth(right.run(frame));
        if (attempt(frame, () => truth(right.run(frame))) === decisive) return decisive;
        throw first;
      },
    };
  }

  #not(operand: ASTNode, _node: ASTNode, scope: Scope | undefined): Code {
    const code = this.#boolean(operand, scope, '!_');
    return {
      type: BOOL,
      estimate: this.#costs.call([code.estimate], exactly(1), BOOL),
      run(frame) {
        frame.budget.charge(1);
        return !truth(code.run(frame));
      },
    };
  }

  #negative(operand: ASTNode, node: ASTNode, scope: Scope | undefined): Code {
    // The smallest integer has no positive counterpart, so its digits alone would be too large.
    if (operand.op === 'value' && operand.args === 2n ** 63n) return this.#constant(-(2n ** 63n));
    const digits = operand.op === 'value' ? literalValue(operand.args) : undefined;
    if ((typeof digits === 'bigint' && digits < 2n ** 63n) || typeof digits === 'number') return this.#constant(-digits);
    const code = this.build(operand, scope);
    if (!isAssignable(code.type, INT) && !isAssignable(code.type, DOUBLE)) {
      throw this.#fail(`found no matching overload for '-_' applied to '(${showType(code.type)})'`, node);
    }
    return {
      type: code.type,
      estimate: this.#costs.call([code.estimate], exactly(1), code.type),
      run(frame) {
        frame.budget.charge(1);
        const value = code.run(frame);
        if (typeof value === 'bigint') return int64(-value);
        if (typeof value === 'number') return -value;
        throw new CelEvaluationError('no such overload');
      },
    };
  }

  #binary(operator: string, [a, b]: readonly [ASTNode, ASTNode], node: ASTNode, scope: Scope | undefined): Code {
    const [left, right] = [this.build(a, scope), this.build(b, scope)];
    const mismatch = (): CelCompileError => {
      const shown = operator === 'in' ? '@in' : `_${operator}_`;
      return this.#fail(`found no matching overload for '${shown}' applied to '(${showType(left.type)}, ${showType(right.type)})'`, node);
    };
    if (ARITHMETIC.has(operator)) {
      const type = arithmeticType(operator, left.type, right.type);
      if (type === undefined) throw mismatch();
      return {
        type,
        estimate: this.#arithmeticEstimate(operator, left, right, type),
        run(frame) {
          const [x, y] = [left.run(frame), right.run(frame)];
          if (typeof x === 'string' || x instanceof Uint8Array) frame.budget.charge(Math.ceil((countOf(x) + countOf(y)) * TEXT_FACTOR));
          else frame.budget.charge(1);
          if (isList(x) && isList(y)) frame.budget.work(x.length + y.length);
          return arithmetic(operator, x, y);
        },
      };
    }
    if (ORDER.has(operator)) {
      const fits = left.type.kind === right.type.kind || left.type.kind === 'dyn' || right.type.kind === 'dyn';
      const numbers = NUMBER_KINDS.has(left.type.kind) && NUMBER_KINDS.has(right.type.kind);
      if (!ORDERED_KINDS.has(left.type.kind) || !ORDERED_KINDS.has(right.type.kind) || (!fits && !numbers)) throw mismatch();
      const estimate = this.#orderEstimate(left, right);
      return {
        type: BOOL,
        estimate,
        run(frame) {
          const [x, y] = [left.run(frame), right.run(frame)];
          frame.budget.charge(typeof x === 'string' || x instanceof Uint8Array ? comparisonCost(x, y) : 1);
          return ordered(operator, compareValues(x, y));
        },
      };
    }
    if (operator === 'in') {
      const holder = right.type.kind === 'optional' ? DYN : right.type;
      const fits =
        holder.kind === 'dyn' ||
        (holder.kind === 'list' ? unify(left.type, holder.of) !== undefined : holder.kind === 'map' && isAssignable(left.type, holder.key));
      if (!fits) throw mismatch();
      const isList = holder.kind !== 'map';
      const price = isList ? (right.estimate.size ?? ANY_SIZE) : exactly(1);
      const estimate = this.#costs.call([left.estimate, right.estimate], holder.kind === 'dyn' ? either(price, exactly(1)) : price, BOOL);
      // What stands in the text is looked up like a key; only what is there at all is looked for.
      const known = right.constant?.value;
      if (Array.isArray(known) && known.length === 0) return { ...this.#constant(false), estimate };
      return { type: BOOL, estimate, run: (frame) => contains(left.run(frame), right.run(frame), known === undefined, frame.budget) };
    }
    if (operator === '==' || operator === '!=') {
      const comparable =
        unify(left.type, right.type) !== undefined || (NUMBER_KINDS.has(left.type.kind) && left.type.kind === right.type.kind);
      if (!comparable && left.type.kind !== 'null' && right.type.kind !== 'null') throw mismatch();
      return {
        type: BOOL,
        estimate: this.#equalityEstimate(operator, left, right),
        run(frame) {
          const [x, y] = [left.run(frame), right.run(frame)];
          frame.budget.charge(comparisonCost(x, y));
          return equalValues(x, y, frame.budget) === (operator === '==');
        },
      };
    }
    throw this.#fail(`unknown operator ${operator}`, node);
  }

  #arithmeticEstimate(operator: string, left: Code, right: Code, type: CelType): Estimate {
    const single = this.#costs.call([left.estimate, right.estimate], exactly(1), type);
    if (operator !== '+') return single;
    const kind = left.type.kind === 'dyn' ? right.type.kind : left.type.kind;
    if (kind === 'list') return this.#costs.concatenation(left.estimate, right.estimate, true);
    if (kind !== 'string' && kind !== 'bytes' && kind !== 'dyn') return single;
    const text = this.#costs.concatenation(left.estimate, right.estimate, false);
    return kind === 'dyn' ? { ...text, cost: either(text.cost, single.cost) } : text;
  }

  #orderEstimate(left: Code, right: Code): Estimate {
    const kind = left.type.kind === 'dyn' ? right.type.kind : left.type.kind;
    const single = this.#costs.call([left.estimate, right.estimate], exactly(1), BOOL);
    if (kind !== 'string' && kind !== 'bytes' && kind !== 'dyn') return single;
    const text = this.#costs.comparison(left.estimate, right.estimate);
    return kind === 'dyn' ? { ...text, cost: either(text.cost, single.cost) } : text;
  }

  /** Values of libraries are held against each other at a price of their own, if for being equal only. */
  #equalityEstimate(operator: string, left: Code, right: Code): Estimate {
    const { type } = left;
    if (operator !== '==' || type.kind !== 'opaque' || right.type.kind !== 'opaque' || right.type.name !== type.name) {
      return this.#costs.comparison(left.estimate, right.estimate);
    }
    let price: Range = exactly(1);
    if (type === FORMAT) price = scaled({ min: 1, max: FORMAT_SIZE_MAX }, TEXT_FACTOR);
    else if (type === URL_TYPE) price = scaled({ min: 1, max: right.estimate.size?.max ?? 1 }, TEXT_FACTOR);
    return this.#costs.call([left.estimate, right.estimate], price, BOOL);
  }

  #call(name: string, args: readonly ASTNode[], node: ASTNode, scope: Scope | undefined): Code {
    if (name === 'has') return this.#has(args, node, scope);
    if (name === CONSTRUCT && this.#constructs) return this.#construct(args, node, scope);
    return this.#invoke(
      name,
      false,
      args.map((arg) => this.build(arg, scope)),
      args,
      node,
    );
  }

  #construct([name, fields]: readonly ASTNode[], node: ASTNode, scope: Scope | undefined): Code {
    if (name?.op !== 'value' || typeof name.args !== 'string' || fields?.op !== 'map') throw this.#fail('malformed message', node);
    const typeName = name.args;
    const codes = fields.args.map(([key, value]) => {
      const written = key.op === 'value' && typeof key.args === 'string' ? key.args : undefined;
      if (written === undefined) throw this.#fail('a field of a message must be a name', key);
      const field = written.replace(/^\?/, '');
      const fault = fieldFault(typeName, field);
      if (fault !== undefined) throw this.#fail(fault, key);
      return { field, optional: written.startsWith('?'), code: this.build(value, scope) };
    });
    const type = constructedType(typeName);
    return {
      type,
      estimate: this.#costs.call(
        codes.map(({ code }) => code.estimate),
        exactly(MESSAGE_COST),
        type,
      ),
      run(frame) {
        frame.budget.charge(MESSAGE_COST);
        const entries = new Map<CelKey, CelValue>();
        for (const { field, optional, code } of codes) {
          const value = code.run(frame);
          if (!optional) entries.set(field, value);
          else if (!(value instanceof Optional)) throw new CelEvaluationError(`field ${field}: an optional value is needed`);
          else if (value.value !== undefined) entries.set(field, value.value);
        }
        return new CelObject(typeName, entries);
      },
    };
  }

  #methodCall(name: string, receiver: ASTNode, args: readonly ASTNode[], node: ASTNode, scope: Scope | undefined): Code {
    if (receiver.op === 'id' && NAMESPACES.has(receiver.args) && lookUp(scope, receiver.args) === undefined) {
      return this.#invoke(
        `${receiver.args}.${name}`,
        false,
        args.map((arg) => this.build(arg, scope)),
        args,
        node,
      );
    }
    const target = this.build(receiver, scope);
    const macro = this.#comprehension(name, target, args, node, scope) ?? this.#optionalMacro(name, target, args, node, scope);
    if (macro !== undefined) return macro;
    const mixed = this.#mixes;
    this.#mixes ||= name === 'format';
    const codes = args.map((arg) => this.build(arg, scope));
    this.#mixes = mixed;
    return this.#invoke(name, true, [target, ...codes], [receiver, ...args], node);
  }

  #invoke(name: string, method: boolean, codes: readonly Code[], nodes: readonly ASTNode[], node: ASTNode): Code {
    const types = codes.map(({ type }) => type);
    const candidates = this.#functions.fitting(name, method, types);
    const [first] = candidates;
    if (first === undefined) {
      if (!this.#functions.has(name, method)) throw this.#fail(`undeclared reference to '${name}' (in container '')`, node);
      const shown = types.map(showType);
      const applied = method ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`;
      throw this.#fail(`found no matching overload for '${name}' applied to '${applied}'`, node);
    }
    let type: CelType | undefined;
    for (const candidate of candidates) {
      const result = candidate.resultOf(types) ?? DYN;
      type = type === undefined ? result : (unify(type, result) ?? DYN);
    }
    const constants = codes.map(({ constant }) => constant?.value);
    const runs = new Map(candidates.map((candidate) => [candidate, this.#prepared(candidate, constants, nodes)]));
    const cost = costOfFunction(name, method);
    const result = type ?? DYN;
    const estimates = codes.map((code) => code.estimate);
    const { price, size } = cost.estimate(codes, this.#costs);
    // Of what stands in the text the same comes each time, at the same price: `quantity('1Gi')` within a loop is parsed once.
    const isFixed = constants.every((constant) => constant !== undefined);
    let same: { readonly value: CelValue; readonly cost: number } | undefined;
    const invoked: Code = {
      type: result,
      estimate: this.#costs.call(estimates, price, result, name === 'dyn' ? estimates[0]?.size : size),
      run(frame) {
        if (same !== undefined) {
          frame.budget.charge(same.cost);
          return same.value;
        }
        const before = frame.budget.left;
        const args = codes.map((code) => code.run(frame));
        frame.budget.charge(cost.actual(args));
        // Types are what a schema says; what was stored under another one, or is null where it may be, shows here.
        const chosen = dispatch(candidates, args);
        if (chosen === undefined) throw new CelEvaluationError(`no such overload: ${name}`);
        const value = (runs.get(chosen) ?? chosen.run)(args, frame.budget);
        if (cost.made !== undefined) frame.budget.charge(cost.made(value));
        if (isFixed) same = { value, cost: before - frame.budget.left };
        return value;
      },
    };
    return CONVERSIONS.has(name) && codes[0]?.constant !== undefined ? this.#converted(name, invoked, nodes[0] ?? node) : invoked;
  }

  /** A malformed pattern that stands in the text is found when it is compiled. */
  #prepared(overload: Overload, constants: readonly (CelValue | undefined)[], nodes: readonly ASTNode[]): Overload['run'] {
    try {
      return overload.prepare?.(constants) ?? overload.run;
    } catch (error) {
      const { name } = overload;
      if (!(error instanceof CelEvaluationError)) throw error;
      throw this.#fail(name === 'matches' ? `invalid ${name} argument` : error.message, nodes[1] as ASTNode);
    }
  }

  /** A literal that is converted is converted once, and what is no time or duration is found out here. */
  #converted(name: string, { run, ...code }: Code, argument: ASTNode): Code {
    try {
      const budget = new Budget(EXPRESSION_COST_MAX);
      const value = run({ slots: [], budget, total: budget });
      return { ...code, run: () => value, constant: { value } };
    } catch (error) {
      if (!(error instanceof CelEvaluationError)) throw error;
      if (name === 'timestamp' || name === 'duration') throw this.#fail(`invalid ${name} argument`, argument);
      return { ...code, run };
    }
  }

  #has(args: readonly ASTNode[], node: ASTNode, scope: Scope | undefined): Code {
    const [field] = args;
    if (args.length !== 1 || field?.op !== '.') throw this.#fail('invalid argument to has() macro', node);
    if (this.#qualified(field, scope) !== undefined) return this.#constant(true);
    const operand = this.build(field.args[0], scope);
    const name = field.args[1];
    this.#memberType(operand.type, name, field);
    const resolve = operand.resolve ?? operand.run;
    return {
      type: BOOL,
      estimate: this.#costs.call([operand.estimate], FREE, BOOL),
      run(frame) {
        const object = resolve(frame);
        if (operand.isChoice !== true) frame.budget.charge(1);
        if (object instanceof Optional) return object.value !== undefined && memberOf(object.value, name) !== undefined;
        return memberOf(object, name) !== undefined;
      },
    };
  }

  #optionalMacro(name: string, target: Code, args: readonly ASTNode[], node: ASTNode, scope: Scope | undefined): Code | undefined {
    if (target.type.kind !== 'optional' && target.type.kind !== 'dyn') return undefined;
    const of = target.type.kind === 'optional' ? target.type.of : DYN;
    const [first, second] = args;
    if ((name === 'or' || name === 'orValue') && first !== undefined && second === undefined) {
      const other = this.build(first, scope);
      const type = of.kind === 'dyn' ? other.type : unify(name === 'or' ? optionalOf(of) : of, other.type);
      if (type === undefined)
        throw this.#fail(`found no matching overload for '${name}' applied to '${showType(target.type)}.(${showType(other.type)})'`, node);
      return {
        type,
        estimate: this.#costs.call([target.estimate, other.estimate], exactly(1), type),
        run(frame) {
          const optional = target.run(frame);
          if (!(optional instanceof Optional)) throw new CelEvaluationError(`no such overload: ${name}`);
          if (optional.value === undefined) return other.run(frame);
          return name === 'or' ? optional : optional.value;
        },
      };
    }
    if ((name === 'optMap' || name === 'optFlatMap') && first?.op === 'id' && second !== undefined) {
      const inner = this.declare(scope, first.args, of, { size: this.#costs.call([], FREE, of).size });
      const body = this.build(second, inner);
      const wraps = name === 'optMap';
      const type = wraps ? optionalOf(body.type) : body.type;
      return {
        type,
        estimate: this.#costs.optionalMap(target.estimate, body.estimate, wraps, type),
        run(frame) {
          const before = frame.budget.left;
          const optional = target.run(frame);
          if (!(optional instanceof Optional)) throw new CelEvaluationError(`no such overload: ${name}`);
          // Whether there is a value is asked, and then for the value or for none: upstream evaluates the target for both questions.
          frame.budget.charge(2);
          if (optional.value === undefined) return optional;
          frame.budget.charge(before - frame.budget.left - 2 + (wraps ? 1 : 0));
          frame.slots[inner.slot] = optional.value;
          const value = body.run(frame);
          return wraps ? new Optional(value) : value;
        },
      };
    }
    return undefined;
  }

  /** The macros that go over lists and maps, by one variable or two. */
  #comprehension(name: string, range: Code, args: readonly ASTNode[], node: ASTNode, scope: Scope | undefined): Code | undefined {
    const plan = planOf(name, args);
    if (plan === undefined) return undefined;
    const [key, item] = rangeTypes(range.type, plan.two);
    if (key === undefined || item === undefined) {
      throw this.#fail(
        `expression of type '${showType(range.type)}' cannot be range of a comprehension (must be list, map, or dynamic)`,
        node,
      );
    }
    const [first, second] = plan.names;
    const known = (which: 'single' | 'key' | 'value') => this.#costs.iterated(range.estimate, range.type, which);
    let inner = this.declare(scope, first, plan.two ? key : item, known(plan.two ? 'key' : 'single'));
    const single = inner;
    const keySlot = inner.slot;
    let itemSlot = keySlot;
    if (plan.two) {
      inner = this.declare(inner, second ?? '', item, known('value'));
      itemSlot = inner.slot;
    }
    const filter = plan.filter === undefined ? undefined : this.#boolean(plan.filter, inner, name);
    const body =
      plan.form === 'quantifier' || plan.form === 'filter' ? this.#boolean(plan.body, inner, name) : this.build(plan.body, inner);
    const step = { keySlot, itemSlot, two: plan.two, range, filter, body };
    const costs = this.#costs;
    const [whole, given, kept] = [range.estimate, body.estimate, filter?.estimate];
    switch (plan.form) {
      case 'quantifier':
        return { type: BOOL, estimate: costs.quantifier(name, whole, given), run: (frame) => quantify(name, step, frame) };
      case 'filter': {
        const type = range.type.kind === 'list' ? range.type : listOf(item);
        const estimate = costs.collection(whole, given, costs.variable(item, single.estimate));
        return { type, estimate, run: (frame) => collect(step, frame, true) };
      }
      case 'sort': {
        const isText = body.type.kind === 'string' || body.type.kind === 'bytes';
        return { type: range.type, estimate: costs.sorting(whole, given, isText), run: (frame) => sortedBy(step, frame) };
      }
      case 'list':
        return { type: listOf(body.type), estimate: costs.collection(whole, kept, given), run: (frame) => collect(step, frame, false) };
      case 'map': {
        const estimate = costs.mapping(whole, kept, given, false);
        return { type: mapOf(key, body.type), estimate, run: (frame) => collectMap(step, frame, false) };
      }
      case 'entries': {
        const type = body.type.kind === 'map' ? body.type : mapOf(DYN, DYN);
        return { type, estimate: costs.mapping(whole, kept, given, true), run: (frame) => collectMap(step, frame, true) };
      }
      default:
        return plan.form satisfies never;
    }
  }
}

/** Where cel-go says that something is wrong: at the operator, at the parenthesis of a call, at the dot of a selection. */
function placeOf(node: ASTNode, text: string): number {
  const after = (sign: string, from: number): number => {
    const found = text.indexOf(sign, from);
    return found < 0 || found > node.end ? node.pos : found;
  };
  switch (node.op) {
    case 'value':
    case 'id':
    case 'list':
    case 'map':
    case '!_':
    case '-_':
      return node.pos;
    case '.':
    case '.?':
      // Of a selection the library gives the field's place.
      return node.pos - 1;
    case 'call':
      return after('(', node.pos + node.args[0].length);
    case 'rcall':
      return after('(', after(node.args[0], node.args[1].end));
    case '?:':
      return after('?', node.args[0].end);
    case '[]':
    case '[?]':
      return after('[', node.args[0].end);
    default:
      return after(node.op, node.args[0].end);
  }
}

interface ComprehensionPlan {
  readonly form: 'quantifier' | 'filter' | 'sort' | 'list' | 'map' | 'entries';
  readonly two: boolean;
  readonly names: readonly [string, string?];
  readonly filter?: ASTNode | undefined;
  readonly body: ASTNode;
}

interface Step {
  readonly keySlot: number;
  readonly itemSlot: number;
  readonly two: boolean;
  readonly range: Code;
  readonly filter: Code | undefined;
  readonly body: Code;
}

/** What `name` with these arguments is as a macro; `undefined`: it is none. */
function planOf(name: string, args: readonly ASTNode[]): ComprehensionPlan | undefined {
  const names: string[] = [];
  for (const arg of args.slice(0, 2)) {
    if (arg.op !== 'id') break;
    names.push(arg.args);
  }
  const [first, second] = names;
  const [, a, b, c] = args;
  if (first === undefined || a === undefined) return undefined;
  const one = { two: false, names: [first] as const };
  const two = { two: true, names: [first, second ?? ''] as const };
  switch (name) {
    case 'all':
    case 'exists':
    case 'exists_one':
    case 'existsOne':
      if (args.length === 2) return { form: 'quantifier', ...one, body: a };
      return args.length === 3 && second !== undefined && b !== undefined ? { form: 'quantifier', ...two, body: b } : undefined;
    case 'filter':
      return args.length === 2 ? { form: 'filter', ...one, body: a } : undefined;
    case 'sortBy':
      return args.length === 2 ? { form: 'sort', ...one, body: a } : undefined;
    case 'map':
      if (args.length === 2) return { form: 'list', ...one, body: a };
      return args.length === 3 && b !== undefined ? { form: 'list', ...one, filter: a, body: b } : undefined;
    case 'transformList':
    case 'transformMap':
    case 'transformMapEntry': {
      if (second === undefined || b === undefined) return undefined;
      const form = name === 'transformList' ? 'list' : name === 'transformMap' ? 'map' : 'entries';
      if (args.length === 3) return { form, ...two, body: b };
      return args.length === 4 && c !== undefined ? { form, ...two, filter: b, body: c } : undefined;
    }
    default:
      return undefined;
  }
}

/** Types of key and item; over maps a single variable goes through the keys. */
function rangeTypes(type: CelType, two: boolean): readonly [CelType?, CelType?] {
  switch (type.kind) {
    case 'dyn':
      return [DYN, DYN];
    case 'list':
      return [INT, type.of];
    case 'map':
      return two ? [type.key, type.of] : [type.key, type.key];
    default:
      return [];
  }
}

/** Sets the variables for each entry in turn. @param turnCost Of asking whether to go on. */
function* entriesOf({ keySlot, itemSlot, two, range, filter }: Step, frame: Frame, turnCost = 0): Generator<CelValue> {
  const whole = range.run(frame);
  const isOfList = isList(whole);
  if (!isOfList && !(whole instanceof CelMap))
    throw new CelEvaluationError(`no such overload: ${showType(typeOfValue(whole))} is no range`);
  for (const [key, item] of isOfList ? whole.entries() : whole.entries) {
    frame.budget.charge(turnCost);
    frame.budget.work(TURN_WORK);
    const shown = two || isOfList ? item : key;
    if (two) frame.slots[keySlot] = typeof key === 'number' ? BigInt(key) : key;
    frame.slots[itemSlot] = shown;
    if (filter !== undefined && !truth(filter.run(frame))) continue;
    yield two ? (frame.slots[keySlot] as CelValue) : shown;
  }
}

/** Upstream's macros keep an accumulator: looking at it, at each turn and at the end, has its price. */
function quantify(name: string, step: Step, frame: Frame): boolean {
  if (name !== 'all' && name !== 'exists') return isExactlyOne(step, frame);
  const decisive = name === 'exists';
  let isDecided = false;
  let failure: CelEvaluationError | undefined;
  for (const _entry of entriesOf(step, frame, decisive ? 3 : 2)) {
    if (isDecided) break;
    frame.budget.charge(1);
    const result = attempt(frame, () => truth(step.body.run(frame)));
    if (result instanceof CelEvaluationError) failure ??= result;
    else isDecided = result === decisive;
  }
  frame.budget.charge(1);
  if (!isDecided && failure !== undefined) throw failure;
  return isDecided === decisive;
}

function isExactlyOne(step: Step, frame: Frame): boolean {
  let matches = 0;
  for (const _entry of entriesOf(step, frame)) {
    if (!truth(step.body.run(frame))) continue;
    frame.budget.charge(2);
    matches += 1;
  }
  frame.budget.charge(2);
  return matches === 1;
}

/** What appending one item to the accumulator costs: a list of it, and putting the two together. */
function appendCost({ constant }: Code): number {
  return constant === undefined ? LIST_COST + 2 : 2;
}

function collect(step: Step, frame: Frame, keeps: boolean): CelValue[] {
  const result: CelValue[] = [];
  const each = keeps ? LIST_COST + 3 : appendCost(step.body);
  for (const entry of entriesOf(step, frame)) {
    const value = step.body.run(frame);
    if (keeps && !truth(value)) continue;
    frame.budget.charge(each);
    result.push(keeps ? entry : value);
  }
  frame.budget.charge(1);
  return result;
}

function sortedBy(step: Step, frame: Frame): CelValue[] {
  const keyed: { readonly key: CelValue; readonly item: CelValue }[] = [];
  const each = appendCost(step.body);
  for (const item of entriesOf(step, frame)) {
    keyed.push({ key: step.body.run(frame), item });
    frame.budget.charge(each);
  }
  // The list under its name, twice, and that of the keys.
  frame.budget.charge(3 + selfComparisonCost(keyed.map(({ key }) => key)));
  return keyed.toSorted((a, b) => compareValues(a.key, b.key)).map(({ item }) => item);
}

function collectMap(step: Step, frame: Frame, entries: boolean): CelMap {
  const result = new Map<CelKey, CelValue>();
  for (const key of entriesOf(step, frame)) {
    const value = step.body.run(frame);
    frame.budget.charge(entries ? 2 : 3);
    if (!entries) result.set(keyOf(key), value);
    else if (value instanceof CelMap) {
      frame.budget.work(value.entries.size);
      for (const [own, item] of value.entries) {
        if (result.has(own)) throw new CelEvaluationError(`insert failed: key ${String(own)} already exists`);
        result.set(own, item);
      }
    } else throw new CelEvaluationError('no such overload');
  }
  frame.budget.charge(1);
  return new CelMap(result);
}

function lookUp(scope: Scope | undefined, name: string): Scope | undefined {
  for (let at = scope; at !== undefined; at = at.parent) if (at.name === name) return at;
  return undefined;
}

/** `undefined`: making it fails, which is the evaluation's to find. */
function constantValue(make: () => CelValue): { readonly value: CelValue } | undefined {
  try {
    return { value: make() };
  } catch (error) {
    if (error instanceof CelEvaluationError) return undefined;
    throw error;
  }
}

function literalValue(value: unknown): CelValue | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string')
    return value;
  if (value instanceof Uint8Array) return value;
  const plain: unknown = (value as { valueOf(): unknown }).valueOf();
  return typeof plain === 'bigint' ? new Uint(plain) : undefined;
}

/** An error that logic may pass over comes back as a value; running out of budget never does. */
function attempt<T>({ budget }: Frame, run: () => T): T | CelEvaluationError {
  try {
    return run();
  } catch (error) {
    if (error instanceof CelEvaluationError) return budget.worked(ERROR_WORK, error);
    throw error;
  }
}

function truth(value: CelValue): boolean {
  if (typeof value !== 'boolean') throw new CelEvaluationError('no such overload: a boolean is needed');
  return value;
}

function ordered(operator: string, comparison: number): boolean {
  switch (operator) {
    case '<':
      return comparison < 0;
    case '<=':
      return comparison <= 0;
    case '>':
      return comparison > 0;
    default:
      return comparison >= 0;
  }
}

function contains(value: CelValue, holder: CelValue, isPriced: boolean, budget: Budget): boolean {
  const whole = holder instanceof Optional ? (holder.value ?? []) : holder;
  if (whole instanceof CelMap) {
    budget.charge(1);
    return whole.entries.has(keyOf(value));
  }
  if (!isList(whole)) throw new CelEvaluationError('no such overload');
  if (isPriced) budget.charge(whole.length);
  else budget.work(whole.length);
  return whole.some((item) => equalValues(item, value, budget));
}

/** @param resolve Is paid for once when it stands alone. */
function lookedUp(type: CelType, estimate: Estimate, resolve: (frame: Frame) => CelValue): Code {
  return {
    type,
    estimate,
    resolve,
    run(frame) {
      frame.budget.charge(1);
      return resolve(frame);
    },
  };
}

/** What `pick` takes from the operand. */
function selected(operand: Code, type: CelType, estimate: Estimate, pick: (value: CelValue, frame: Frame) => CelValue): Code {
  const from = operand.resolve ?? operand.run;
  const resolve = (frame: Frame): CelValue => pick(from(frame), frame);
  return operand.isChoice === true ? { type, estimate, run: resolve, resolve, isChoice: true } : lookedUp(type, estimate, resolve);
}

/** Selections from what is not there are free. */
function paidIfPresent(optional: Optional, { budget }: Frame): Optional {
  if (optional.value !== undefined) budget.charge(1);
  return optional;
}

function memberOf(object: CelValue, field: string): CelValue | undefined {
  if (object instanceof CelMap) return object.entries.get(field);
  throw new CelEvaluationError(`no such key: ${field}`);
}

function optionalMember({ value }: Optional, field: string): Optional {
  return value instanceof CelMap ? new Optional(value.entries.get(field)) : NONE;
}

function optionalElement({ value }: Optional, index: CelValue): Optional {
  return value === undefined ? NONE : new Optional(elementOf(value, index));
}

function elementOf(container: CelValue, index: CelValue): CelValue | undefined {
  if (container instanceof CelMap) return container.entries.get(keyOf(index));
  if (!isList(container)) throw new CelEvaluationError('no such overload');
  const at = Number(keyOf(index));
  return Number.isInteger(at) && at >= 0 ? container[at] : undefined;
}
