import { describe, expect, it } from 'vitest';
import { untypedValue } from './admission-expressions.ts';
import { Budget } from './budget.ts';
import { CelCompileError } from './cel-error.ts';
import { jsonOfValue } from './cel-json.ts';
import { DYN, showType } from './cel-type.ts';
import { CelCompiler } from './expression.ts';
import { rewriteConstructions, typeNameFault } from './object-construction.ts';

const compiler = new CelCompiler({ constructs: true });
const object = untypedValue({ metadata: { name: 'n' }, spec: { containers: [{ name: 'a' }, { name: 'b' }] } });
const variables = [{ name: 'object', type: DYN }];
const run = (text: string) => compiler.compile(text, variables).evaluate([object], new Budget(1_000_000));

describe('constructed objects', () => {
  it.each<{ text: string; json: unknown }>([
    { text: 'Object{}', json: {} },
    { text: 'Object{spec: Object.spec{replicas: 1 + 2}}', json: { spec: { replicas: 3 } } },
    {
      text: 'Object{metadata: Object.metadata{annotations: {"my-annotation": "a{b}, Object{}"}, labels: {}}}',
      json: { metadata: { annotations: { 'my-annotation': 'a{b}, Object{}' }, labels: {} } },
    },
    {
      text: `Object {
        // Object{not: this}
        spec: Object . spec {
          containers: object.spec.containers.map(c, Object.spec.containers{ name: c.name, image: c.name == 'a' ? 'x' : 'y' }),
        },
      }`,
      json: {
        spec: {
          containers: [
            { name: 'a', image: 'x' },
            { name: 'b', image: 'y' },
          ],
        },
      },
    },
    { text: 'Object{?spec: optional.none(), ?kind: optional.of("k")}', json: { kind: 'k' } },
    { text: 'has(object.spec) ? Object{a: true} : Object{}', json: { a: true } },
    { text: '"a" in {"a": 1} && "b" in [object.metadata.name] ? 1 : 2', json: 2 },
    {
      text: '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("a.b/c~d"), value: Object.metadata{x: [1]}}]',
      json: [{ op: 'add', path: '/metadata/labels/a.b~1c~0d', value: { x: [1] } }],
    },
  ])('$text', ({ text, json }) => {
    expect(jsonOfValue(run(text))).toEqual(json);
  });

  it('are of the type that they are named by', () => {
    expect(showType(compiler.compile('Object{a: 1}', variables).type)).toBe('Object');
    expect(showType(compiler.compile('[JSONPatch{op: "test"}]', variables).type)).toBe('list(JSONPatch)');
    expect(typeNameFault(run('Object{spec: Object.spec{list: [Object.spec.list{}]}}'))).toBeUndefined();
    expect(typeNameFault(run('Object{spec: Object.spec{selector: Object.spec.wrong{}}}'))).toBe(
      'unexpected type name "Object.spec.wrong", expected "Object.spec.selector", which matches field name path from root Object type',
    );
  });

  it('are faulted at the place in the text as it was written', () => {
    const fault = (text: string): string => {
      try {
        compiler.compile(text, variables);
        return 'none';
      } catch (error) {
        return (error as CelCompileError).message.split('\n')[0] ?? '';
      }
    };
    expect(fault('Object{spec: Object.spec{a: nowhere}}')).toBe("ERROR: <input>:1:29: undeclared reference to 'nowhere' (in container '')");
    expect(fault('JSONPatch{verb: 1}')).toBe("ERROR: <input>:1:11: undefined field 'verb'");
    expect(fault('Object{spec: }')).toContain('ERROR: <input>:1:14: Syntax error');
    expect(() => new CelCompiler().compile('Object{}', variables)).toThrow(CelCompileError);
    expect(() => new CelCompiler().compile('jsonpatch.escapeKey("a")', variables)).toThrow(CelCompileError);
  });

  it('leave everything else as it was', () => {
    for (const text of ['{"a": 1}', "'Object{a: 1}'", 'r"Object{"', '[x, {1: 2}] // Object{', 'object.spec in {}'])
      expect(rewriteConstructions(text).text).toBe(text);
  });
});
