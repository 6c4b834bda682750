import { describe, expect, it } from 'vitest';
import { untypedValue } from './admission-expressions.ts';
import { Budget } from './budget.ts';
import { jsonOfValue } from './cel-json.ts';
import { DYN, showType } from './cel-type.ts';
import { CelCompiler } from './expression.ts';

const compiler = new CelCompiler({ constructs: true });
const variables = [{ name: 'object', type: DYN }];
const object = untypedValue({
  metadata: { name: 'd', labels: { app: 'x' } },
  spec: { replicas: 3, ratio: 0.5, paused: false, containers: [{ name: 'a' }] },
  list: [3, 1, 2],
});

/** Types and values as cel-go gives them in the environment of release 1.36. */
describe('what is known of an expression before it is evaluated', () => {
  it.each<{ text: string; type: string; value: unknown }>([
    { text: "object.metadata.labels['app'] + '-' + object.metadata.name", type: 'string', value: 'x-d' },
    { text: 'object.spec.replicas + 1', type: 'int', value: 4 },
    { text: 'object.spec.ratio * 2.0', type: 'double', value: 1 },
    { text: 'object.list[0] + object.list[1]', type: 'dyn', value: 4 },
    { text: "object.metadata.labels[?'zz'].orValue('none')", type: 'string', value: 'none' },
    { text: 'optional.none().orValue(5)', type: 'int', value: 5 },
    { text: 'has(object.spec.paused) ? [JSONPatch{op: "remove"}] : []', type: 'list(JSONPatch)', value: [{ op: 'remove' }] },
    { text: "object.spec.containers.map(c, c.name).exists(n, n == 'a')", type: 'bool', value: true },
    { text: "[{'a': 2}, {'a': 1}].sortBy(x, x.a)", type: 'list(map(string, int))', value: [{ a: 1 }, { a: 2 }] },
    { text: '[1, 2, 3].first()', type: 'optional_type(int)', value: 1 },
    { text: "'%s'.format([[1, 'a', {'b': true}]])", type: 'string', value: '[1, "a", {"b":true}]' },
    { text: `strings.quote('a"b')`, type: 'string', value: '"a\\"b"' },
  ])('$text', ({ text, type, value }) => {
    const compiled = compiler.compile(text, variables);
    expect(showType(compiled.type)).toBe(type);
    expect(jsonOfValue(compiled.evaluate([object], new Budget(1_000_000)))).toEqual(value);
  });

  it.each<{ text: string; fault: string }>([
    { text: '1 + 1.0', fault: "1:3: found no matching overload for '_+_' applied to '(int, double)'" },
    { text: '1 == 1.0', fault: "1:3: found no matching overload for '_==_' applied to '(int, double)'" },
    { text: "true ? 1 : 'a'", fault: "1:6: found no matching overload for '_?_:_' applied to '(bool, int, string)'" },
    { text: "[1, 'a']", fault: "1:5: expected type 'int' but found 'string'" },
    { text: "{'a': 1, 'b': 'x'}", fault: "1:15: expected type 'int' but found 'string'" },
    { text: 'object.metadata.name.nope()', fault: "1:26: undeclared reference to 'nope' (in container '')" },
    { text: "'a'.startsWith(1)", fault: "1:15: found no matching overload for 'startsWith' applied to 'string.(int)'" },
    { text: "'abc'.reverse()", fault: "1:14: found no matching overload for 'reverse' applied to 'string.()'" },
    { text: 'nowhere == 1', fault: "1:1: undeclared reference to 'nowhere' (in container '')" },
  ])('$text is refused at its place', ({ text, fault }) => {
    expect(() => compiler.compile(text, variables)).toThrow(`ERROR: <input>:${fault}`);
  });
});
