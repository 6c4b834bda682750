import { describe, expect, it } from 'vitest';
import { Budget, EXPRESSION_COST_MAX } from './budget.ts';
import { CelBudgetError, CelCompileError, CelEvaluationError } from './cel-error.ts';
import { type CelType, DYN, INT, listOf, mapOf, STRING } from './cel-type.ts';
import { CelMap, type CelValue, Optional } from './cel-value.ts';
import { CelCompiler } from './expression.ts';

const compiler = new CelCompiler();

const PORT: CelType = {
  kind: 'object',
  name: 'object',
  fields: new Map<string, CelType>([
    ['name', STRING],
    ['number', INT],
  ]),
};
const SELF: CelType = {
  kind: 'object',
  name: 'object',
  fields: new Map<string, CelType>([
    ['name', STRING],
    ['replicas', INT],
    ['absent', STRING],
    ['ports', listOf(PORT)],
    ['labels', mapOf(STRING, STRING)],
    ['any', DYN],
    ['foo__dash__bar', STRING],
  ]),
};

function mapValue(entries: Record<string, CelValue>): CelMap {
  return new CelMap(new Map(Object.entries(entries)));
}

const self = mapValue({
  name: 'web',
  replicas: 3n,
  ports: [mapValue({ name: 'http', number: 80n }), mapValue({ name: 'https', number: 443n })],
  labels: mapValue({ app: 'web', tier: 'front' }),
  any: 7n,
  foo__dash__bar: 'x',
});

function evaluate(text: string, cost = EXPRESSION_COST_MAX): CelValue {
  return compiler.compile(text, [{ name: 'self', type: SELF }]).evaluate([self], new Budget(cost));
}

describe('expressions that are true', () => {
  it.each([
    '1 + 2 * 3 == 7',
    '7 / 2 == 3 && 7 % 3 == 1 && -7 / 2 == -3',
    '-9223372036854775808 < 0',
    '1u + 2u == 3u',
    'dyn(1) == 1.0 && dyn(2u) == 2',
    '1 < 1.5 && 2u > 1.5',
    '0.1 + 0.2 > 0.3',
    'double(3) / 2.0 == 1.5',
    'self.name == "web" && self.foo__dash__bar == "x"',
    'has(self.name) && !has(self.absent)',
    'has(self.labels.app) && !has(self.labels.none)',
    'self.any == 7 && self.any > 6',
    'self.ports[1].number == 443',
    'self.labels["app"] == "web"',
    '"app" in self.labels && !("x" in self.labels)',
    '443 in self.ports.map(p, p.number)',
    'self.ports.all(p, p.number > 0 && p.number < 65536)',
    'self.ports.exists(p, p.name == "http")',
    'self.ports.exists_one(p, p.number == 80)',
    'self.ports.filter(p, p.number > 100).size() == 1',
    'self.ports.map(p, p.number > 100, p.name) == ["https"]',
    'self.labels.all(k, self.labels[k] != "")',
    'self.ports.all(i, p, i < 2 && p.number > 0)',
    'self.labels.exists(k, v, k == "tier" && v == "front")',
    'self.labels.transformMap(k, v, v + "!")["app"] == "web!"',
    'self.ports.transformList(i, p, i == 1, p.name) == ["https"]',
    'self.labels.transformMapEntry(k, v, {v: k})["front"] == "tier"',
    'optional.of(self.replicas * 2).optMap(n, n == 6).value()',
    'self.?absent.orValue("none") == "none"',
    'self.?name.hasValue() && self.?name.value() == "web"',
    '!self.?labels.?none.hasValue()',
    'self.labels[?"app"].optMap(x, x + "!").orValue("") == "web!"',
    'optional.none().or(optional.of(1)).value() == 1',
    'optional.ofNonZeroValue("").orValue("z") == "z"',
    // Either side of a junction decides alone, whatever the other fails with.
    'self.absent == "x" || true',
    '!(false && self.absent == "x")',
    '[1, 0].exists(x, 1 / x == 1)',
    'type(1) == int && type("a") == string && type([]) == list',
    'size("héllo") == 5 && "𝒳".size() == 1',
    'string(12) == "12" && int("12") == 12 && string(1.5) == "1.5" && string(true) == "true"',
    'string(b"abc") == "abc" && bytes("abc") == b"abc"',
    '"web-0".matches("^[a-z]+-[0-9]$") && !"WEB".matches("^[a-z]")',
    '"a.b.c".split(".") == ["a", "b", "c"] && "a.b.c".split(".", 2) == ["a", "b.c"]',
    '["a", "b"].join("-") == "a-b"',
    '"hello".indexOf("l") == 2 && "hello".lastIndexOf("l") == 3 && "hello".indexOf("l", 3) == 3',
    '"hello".substring(1, 3) == "el" && "hello".charAt(4) == "o"',
    '"aXbX".replace("X", "-") == "a-b-" && "aXbX".replace("X", "-", 1) == "a-bX"',
    '" a ".trim() == "a" && "Ab".lowerAscii() == "ab" && "Ab".upperAscii() == "AB"',
    '"%s is %d of %.2f and %x".format(["a", 3, 1.5, 255]) == "a is 3 of 1.50 and ff"',
    '"abc 123".find("[0-9]+") == "123" && "123 abc 456".findAll("[0-9]+") == ["123", "456"]',
    '"1 2 3".findAll("[0-9]", 2) == ["1", "2"]',
    '[1, 2, 3].isSorted() && ![2, 1].isSorted() && [1, 3].sum() == 4 && [3, 1].min() == 1 && [3, 1].max() == 3',
    '[1.5, 2.0].sum() == 3.5 && [1, 2, 2].indexOf(2) == 1 && [1, 2, 2].lastIndexOf(2) == 2 && [1].indexOf(9) == -1',
    '[3, 1, 2].sort() == [1, 2, 3] && [1, 1, 2].distinct() == [1, 2] && [[1], [2]].flatten() == [1, 2]',
    '[1, 2, 3].slice(1, 3) == [2, 3] && [1, 2].reverse() == [2, 1] && lists.range(3) == [0, 1, 2]',
    'sets.contains([1, 2, 3], [3, 1]) && sets.intersects([1], [1, 2]) && sets.equivalent([1, 1], [1])',
    'quantity("1.5Gi").isGreaterThan(quantity("1500M")) && quantity("1k").asInteger() == 1000',
    'quantity("100m").add(quantity("900m")).compareTo(quantity("1")) == 0 && quantity("5").sub(2) == quantity("3")',
    'isQuantity("10Mi") && !isQuantity("ten") && quantity("-1").sign() == -1 && quantity("0.5").isInteger() == false',
    'ip("10.0.0.1").family() == 4 && isIP("::1") && !isIP("10.0.0") && ip("127.0.0.1").isLoopback()',
    'cidr("10.0.0.0/8").containsIP("10.1.2.3") && cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && !cidr("10.0.0.0/8").containsCIDR("0.0.0.0/0")',
    'string(cidr("10.1.2.3/8").masked()) == "10.0.0.0/8" && cidr("10.0.0.0/8").prefixLength() == 8 && isCIDR("fd00::/8")',
    'url("https://example.com:80/a?b=c&b=d").getHost() == "example.com:80" && url("https://example.com/a").getScheme() == "https"',
    'url("https://example.com/a?b=c&b=d").getQuery()["b"] == ["c", "d"] && isURL("/path") && !isURL("no url")',
    'url("https://u@example.com/a%20b").getEscapedPath() == "/a%20b" && url("https://[::1]:80/").getHostname() == "::1"',
    '!format.dns1123Label().validate("web-0").hasValue() && format.dns1123Label().validate("A").hasValue()',
    'format.named("uuid").hasValue() && !format.named("none").hasValue()',
    'semver("1.2.3").isLessThan(semver("1.10.0")) && isSemver("1.0.0-rc.1") && !isSemver("1.0") && isSemver("v1.0", true)',
    'semver("1.0.0-rc.2").compareTo(semver("1.0.0-rc.10")) == -1 && semver("2.3.4").minor() == 3',
    'timestamp("2024-02-03T04:05:06Z").getFullYear() == 2024 && timestamp("2024-02-03T04:05:06Z").getMonth() == 1',
    'timestamp("2024-02-03T04:05:06Z") - timestamp("2024-02-03T04:05:05Z") == duration("1s")',
    'timestamp("2024-02-03T00:30:00Z").getHours("+02:00") == 2 && timestamp("2024-07-01T00:00:00Z").getHours("Europe/Berlin") == 2',
    'duration("1h30m").getMinutes() == 90 && duration("90s") > duration("1m") && string(duration("1.5s")) == "1.5s"',
    'null == null && self.any != null',
    '[dyn(1), "a", true].size() == 3',
    '{"a": 1}.a == 1 && {1: "x"}[1] == "x" && size({"a": 1}) == 1',
    'true ? true : self.absent == ""',
    '"a" + "b" == "ab" && [1] + [2] == [1, 2] && "b" > "a"',
    'dyn(1) == 1 && dyn("a") + "b" == "ab"',
  ])('%s', (text) => {
    expect(evaluate(text)).toBe(true);
  });
});

describe('expressions that do not compile', () => {
  it.each([
    ['self.nope == 1', "undefined field 'nope'"],
    ['self.name == 1', "found no matching overload for '_==_' applied to '(string, int)'"],
    ['self.replicas + "a" == ""', "found no matching overload for '_+_' applied to '(int, string)'"],
    ['self.replicas > 1.5 && self.name', "found no matching overload for '_&&_' applied to '(string)'"],
    ['other == 1', "undeclared reference to 'other'"],
    ['self.name.nothing()', "undeclared reference to 'nothing'"],
    ['self.replicas.startsWith("a")', "found no matching overload for 'startsWith' applied to 'int.(string)'"],
    ['self.name.matches("(")', 'invalid matches argument'],
    ['self.replicas.all(x, x)', 'cannot be range of a comprehension'],
    ['self.name ==', 'Syntax error'],
    ['has(self)', 'invalid argument to has() macro'],
    ['has(self.nope)', "undefined field 'nope'"],
    ['self.ports.all(p, p.nope)', "undefined field 'nope'"],
    ['true ? 1 : "a"', "'_?_:_'"],
    ['9223372036854775808 > 0', 'invalid int literal'],
    ['1 in ["a"]', "'@in'"],
    [`${'('.repeat(300)}1${')'.repeat(300)} == 1`, 'Syntax error'],
  ])('%s', (text, message) => {
    expect(() => evaluate(text)).toThrow(CelCompileError);
    expect(() => evaluate(text)).toThrow(message);
  });

  it('are shown with the place', () => {
    expect(() => evaluate('self.name == "a" &&\n self.nope')).toThrow(
      "ERROR: <input>:2:6: undefined field 'nope'\n |  self.nope\n | .....^",
    );
  });
});

describe('expressions that come to nothing', () => {
  it.each([
    ['self.absent == ""', 'no such key: absent'],
    ['self.labels.none == ""', 'no such key: none'],
    ['self.ports[2].number == 1', 'index out of bounds: 2'],
    ['1 / (self.replicas - 3) == 1', 'division by zero'],
    ['9223372036854775807 + 1 > 0', 'integer overflow'],
    ['quantity("ten").isInteger()', 'quantity parse error'],
    ['[].max() == 1', 'max called on empty list'],
    ['self.any.startsWith("a")', 'no such overload'],
    ['self.any + "a" == "a"', 'no such overload'],
    ['optional.none().value() == 1', 'optional.none() dereference'],
    ['timestamp("yester" + "day") > timestamp("2024-02-03T04:05:06Z")', 'invalid timestamp'],
    ['[1, 0].all(x, 1 / x == 1)', 'division by zero'],
  ])('%s', (text, message) => {
    expect(() => evaluate(text)).toThrow(CelEvaluationError);
    expect(() => evaluate(text)).toThrow(message);
  });
});

/** Names the concatenation of `start` with itself, again and again. */
function doubling(start: string): string {
  const open = Array.from({ length: 30 }, (_, round) => `optional.of(x${round} + x${round}).optMap(x${round + 1}, `);
  return `optional.of(${start}).optMap(x0, ${open.join('')}size(x30) > 0${')'.repeat(30)}).hasValue()`;
}

describe('hostile expressions', () => {
  it.each([
    ['nested iteration', 'lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, true)))'],
    ['text that doubles', doubling('"aaaaaaaaaa"')],
    ['a list that doubles', doubling('[1]')],
    ['a long range', 'lists.range(9223372036854775807) == []'],
    ['an error passed over again and again', 'lists.range(5000).exists(a, lists.range(5000).exists(b, 1 / 0 == 1) || false)'],
  ])('cost an error: %s', (_name, text) => {
    const before = performance.now();
    expect(() => evaluate(text)).toThrow(CelBudgetError);
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  it('cannot make a regular expression run away', () => {
    const long = compiler.compile('self.matches("^(a+)+$")', [{ name: 'self', type: STRING }]);
    const before = performance.now();
    expect(long.evaluate([`${'a'.repeat(5_000)}!`], new Budget(EXPRESSION_COST_MAX))).toBe(false);
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(() => evaluate('"a".matches("((a{100}){100}){100}")')).toThrow('invalid matches argument');
  });

  it('share the budget they are given', () => {
    const text = 'lists.range(100).all(x, x >= 0)';
    expect(() => evaluate(text, 100)).toThrow(CelBudgetError);
    const budget = new Budget(5_000);
    const expression = compiler.compile(text, []);
    expect(() => {
      for (let round = 0; round < 100; round += 1) expression.evaluate([], budget);
    }).toThrow(CelBudgetError);
  });

  it('come to an error where values are not of the types that their schema says', () => {
    const stale = mapValue({ name: null, ports: 'none', replicas: 'three' });
    for (const text of ['self.name.split(",").size() > 0', 'self.ports.reverse().size() > 0', 'int(self.replicas) > 1']) {
      const expression = compiler.compile(text, [{ name: 'self', type: SELF }]);
      expect(() => expression.evaluate([stale], new Budget(100)), text).toThrow(CelEvaluationError);
    }
  });

  it('compare text by its characters', () => {
    expect(evaluate('"\\U0001F600" > "\\uFFFD" && "a" < "b" && "a" < "ab" && "b" > "ab"')).toBe(true);
  });

  it('find no members that objects of this language have by themselves', () => {
    expect(() => evaluate('self.labels.constructor == ""')).toThrow('no such key: constructor');
    expect(evaluate('has(self.labels.__proto__)')).toBe(false);
    expect(evaluate('{"__proto__": 1}["__proto__"] == 1')).toBe(true);
    expect(evaluate('self.?labels.?toString')).toEqual(new Optional(undefined));
  });
});
