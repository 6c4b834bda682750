import { type Random, seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject, SchemaNode } from '../definition.ts';
import { Budget, EXPRESSION_COST_MAX } from './budget.ts';
import { CelBudgetError, CelCompileError, CelEvaluationError } from './cel-error.ts';
import { CelCompiler, type Expression } from './expression.ts';
import { boundsOf } from './schema-bounds.ts';
import { SchemaValues, typeOfNode } from './schema-values.ts';

/** Take a failing run's seed back with DURE_SEED. */
const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = 8_000;
/** Of one evaluation. Most take less than a millisecond; this is for one that runs away. */
const EVALUATION_MS_MAX = 5_000;

const NAMES = ['a', 'b', 'c', 'name', 'my-field', 'x__y', 'for'];
const METHODS = [
  ...['size', 'startsWith', 'contains', 'matches', 'find', 'findAll', 'split', 'replace', 'substring', 'charAt', 'indexOf', 'lastIndexOf'],
  ...['join', 'trim', 'lowerAscii', 'format', 'sort', 'distinct', 'reverse', 'flatten', 'slice', 'sum', 'min', 'max', 'isSorted', 'first'],
  ...['hasValue', 'value', 'orValue', 'or', 'optMap', 'family', 'containsIP', 'masked', 'isGreaterThan', 'add', 'getHours', 'getHost'],
  ...['getQuery', 'validate', 'major', 'compareTo', 'nope'],
];
const FUNCTIONS = [
  ...['size', 'int', 'uint', 'double', 'string', 'bytes', 'bool', 'dyn', 'type', 'timestamp', 'duration', 'quantity', 'isQuantity', 'ip'],
  ...['isIP', 'cidr', 'isURL', 'url', 'semver', 'lists.range', 'sets.contains', 'sets.equivalent', 'optional.of', 'optional.none'],
  ...['strings.quote', 'format.uuid', 'format.named', 'matches', 'has', 'nope'],
];
const MACROS = [
  'all',
  'exists',
  'exists_one',
  'map',
  'filter',
  'sortBy',
  'transformList',
  'transformMap',
  'transformMapEntry',
  'existsOne',
];
const OPERATORS = ['+', '-', '*', '/', '%', '==', '!=', '<', '<=', '>', '>=', '&&', '||', 'in'];
const LITERALS = [
  ...['0', '1', '-1', '9223372036854775807', '-9223372036854775808', '3u', '1.5', '1e308', 'true', 'false', 'null', '""', "'a'", "'😀é'"],
  ...[
    "'(a+)+$'",
    "'%s %d'",
    "'10.0.0.1'",
    "'10.0.0.0/8'",
    "'1h'",
    "'2024-01-02T03:04:05Z'",
    "'5Mi'",
    "'1.2.3'",
    "'http://a/b?c=d'",
    "b'ab'",
  ],
  ...['[]', '{}', "'['", "'__proto__'", '100000'],
];

class Writer {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  below(bound: number): number {
    return this.#random.integer(bound);
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** What is marked as of no known type gets past the compiler more often. */
  expression(depth: number, variables: readonly string[]): string {
    const text = this.#expression(depth, variables);
    return this.below(5) < 3 ? `dyn(${text})` : text;
  }

  #expression(depth: number, variables: readonly string[]): string {
    const inner = (names = variables): string => this.expression(depth - 1, names);
    const some = (): string => Array.from({ length: this.below(3) }, () => inner()).join(', ');
    if (depth <= 0) return this.below(2) === 0 ? this.one(LITERALS) : this.one(variables);
    switch (this.below(12)) {
      case 0:
        return `(${inner()} ${this.one(OPERATORS)} ${inner()})`;
      case 1:
        return `${inner()}.${this.one(METHODS)}(${some()})`;
      case 2:
        return `${this.one(FUNCTIONS)}(${some()})`;
      case 3: {
        const [one, two] = [`v${depth}`, `w${depth}`];
        const names = this.below(3) === 0 ? [one, two] : [one];
        const bodies = Array.from({ length: 1 + this.below(2) }, () => inner([...variables, ...names]));
        return `${inner()}.${this.one(MACROS)}(${[...names, ...bodies].join(', ')})`;
      }
      case 4:
        return `(${inner()} ? ${inner()} : ${inner()})`;
      case 5:
        return `[${some()}]`;
      case 6:
        return `{${inner()}: ${inner()}}`;
      case 7:
        return `${inner()}[${this.one(['', '?'])}${inner()}]`;
      case 8:
        return `has(${inner()}.${this.one(NAMES)})`;
      case 9:
        return `${this.one(['!', '-'])}${inner()}`;
      default:
        return `${inner()}${this.one(['.', '.?'])}${this.one(['a', 'b', 'c', 'name', 'my__dash__field'])}`;
    }
  }

  /** As clients mistype: a part left out, said twice, or put elsewhere. */
  mutation(text: string): string {
    const [from, to] = [this.below(text.length), this.below(text.length)].toSorted((x, y) => x - y) as [number, number];
    const part = text.slice(from, to);
    switch (this.below(4)) {
      case 0:
        return text.slice(0, from) + text.slice(to);
      case 1:
        return text.slice(0, to) + part + text.slice(to);
      case 2:
        return text.slice(0, from) + this.one([...OPERATORS, ...LITERALS, '(', ')', '.', ',', '?', '{', "'"]) + text.slice(to);
      default:
        return part + text.slice(0, from) + text.slice(to);
    }
  }

  schema(depth: number): SchemaNode {
    const below = (): SchemaNode => this.schema(depth - 1);
    switch (this.below(depth <= 0 ? 6 : 9)) {
      case 0:
        return { type: 'integer' };
      case 1:
        return { type: 'number' };
      case 2:
        return { type: 'boolean' };
      case 3:
        return { type: 'string', ...this.one([{}, { maxLength: 5 }, { enum: ['a', 'bc'] }, { format: 'byte' }, { format: 'duration' }]) };
      case 4:
        return { 'x-kubernetes-int-or-string': true };
      case 5:
        return { 'x-kubernetes-preserve-unknown-fields': true };
      case 6:
        return { type: 'array', items: below(), ...this.one([{}, { maxItems: 3 }]) };
      case 7:
        return { type: 'object', additionalProperties: below(), ...this.one([{}, { maxProperties: 3 }]) };
      default:
        return { type: 'object', properties: Object.fromEntries(NAMES.map((name) => [name, below()])) };
    }
  }

  /** Mostly of the schema, sometimes not, since schemas change under stored objects. */
  value(node: SchemaNode | undefined, depth: number): Json {
    if (depth <= 0 || this.below(10) === 0) return this.one<Json>([null, 1, -2.5, 'text', '10.0.0.1', true, [], {}, ['a', 1]]);
    if (node?.items !== undefined) return Array.from({ length: this.below(6) }, () => this.value(node.items, depth - 1));
    if (typeof node?.additionalProperties === 'object') {
      const { additionalProperties } = node;
      return Object.fromEntries(
        ['k', 'l', '__proto__'].slice(this.below(3)).map((key) => [key, this.value(additionalProperties, depth - 1)]),
      );
    }
    if (node?.properties === undefined) return this.one<Json>([0, 3, 1.5, 'a', '', 'YWJj', '1h', false, '50%']);
    const object: JsonObject = {};
    for (const [name, child] of Object.entries(node.properties)) if (this.below(4) > 0) object[name] = this.value(child, depth - 1);
    return object;
  }
}

const REAL = [
  "self.all(x, x.name.matches('^[a-z]+$') && (!has(x.a) || x.a in ['b', 'c']))",
  'has(self.a) == has(oldSelf.a) && (!has(self.a) || self.a == oldSelf.a)',
  "self.?a.orValue('').split(',').map(p, p.trim()).filter(p, p != '').size() <= 3",
  "type(self.c) == int ? self.c >= 0 : self.c.endsWith('%') && int(self.c.replace('%', '')) <= 100",
  "quantity(self.a).isLessThan(quantity('10Gi')) || cidr(self.b).containsIP(ip('10.0.0.1'))",
  "self.exists_one(k, v, k.startsWith('a') && v > 0) && self.transformMap(k, v, v + 1).size() == self.size()",
];

/** Anything else that is thrown is a fault of the evaluator. */
function attempt<T>(text: string, run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof CelCompileError || error instanceof CelEvaluationError || error instanceof CelBudgetError) return undefined;
    throw new Error(`seed ${seed}: ${text}`, { cause: error });
  }
}

describe(`random expressions (DURE_SEED=${seed})`, () => {
  it('come to a value or to an error of this language, soon', () => {
    const writer = new Writer(seededRandom(seed));
    const compiler = new CelCompiler();
    let evaluated = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const schema = writer.schema(3);
      const text =
        round % 3 === 0 ? writer.mutation(writer.one(REAL)) : writer.expression(1 + writer.below(5), ['self', 'oldSelf', 'self']);
      const type = round % 2 === 0 ? typeOfNode(schema) : ({ kind: 'dyn' } as const);
      const compiled = attempt<Expression>(text, () =>
        compiler.compile(
          text,
          [
            { name: 'self', type },
            { name: 'oldSelf', type },
          ],
          boundsOf(schema),
        ),
      );
      if (compiled === undefined) continue;
      expect(compiled.costMax, text).toBeGreaterThanOrEqual(0);
      const before = performance.now();
      attempt(text, () => {
        const values = new SchemaValues();
        const self = values.of(writer.value(schema, 4), round % 2 === 0 ? schema : undefined);
        return compiled.evaluate([self, self], new Budget(EXPRESSION_COST_MAX));
      });
      expect(performance.now() - before, `seed ${seed}: ${text}`).toBeLessThan(EVALUATION_MS_MAX);
      evaluated += 1;
    }
    // A test whose every expression is refused would see nothing.
    expect(evaluated).toBeGreaterThan(ROUNDS / 10);
  });
});
