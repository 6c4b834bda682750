import { describe, expect, it } from 'vitest';
import {
  checkCIdentifier,
  checkConfigKey,
  checkDns1035Label,
  checkDns1123Label,
  checkDns1123Subdomain,
  checkEnvVarName,
  checkHttpHeaderName,
  checkLabelValue,
  checkPathSegment,
  checkPercent,
  checkPortName,
  checkPortNumber,
  checkQualifiedName,
  checkUnderscoredSubdomain,
  checkWildcardSubdomain,
} from './name-syntax.ts';

const long = (length: number) => 'a'.repeat(length);

describe('names', () => {
  it.each([
    ['checkDns1123Label', checkDns1123Label, ['a', 'a-b', '0', long(63)], ['', 'A', '-a', 'a-', 'a_b', 'a.b', long(64)]],
    ['checkDns1123Subdomain', checkDns1123Subdomain, ['a', 'a.b', '1.2', long(253)], ['', 'a..b', '.a', 'A.b', 'a_b', long(254)]],
    ['checkDns1035Label', checkDns1035Label, ['a', 'a1-b'], ['', '1a', 'a-', long(64)]],
    ['checkQualifiedName', checkQualifiedName, ['a', 'A_b.c', 'example.com/x'], ['', '/x', 'a/', 'a/b/c', 'Example/x', long(64), '_a']],
    ['checkLabelValue', checkLabelValue, ['', 'a', 'A.b_c', long(63)], ['-a', 'a-', 'a b', long(64)]],
    ['checkPortName', checkPortName, ['http', 'a1', 'x-y'], ['', '1', 'a--b', '-a', 'A', long(16)]],
    ['checkEnvVarName', checkEnvVarName, ['A', 'a.b', '1a', 'a b'], ['', 'a=b', 'ä']],
    ['checkConfigKey', checkConfigKey, ['a', '.a', 'A_b-c'], ['', '.', '..', '..a', 'a/b', long(254)]],
    ['checkPathSegment', checkPathSegment, ['system:node:x', 'a b'], ['.', '..', 'a/b', 'a%b']],
    ['checkUnderscoredSubdomain', checkUnderscoredSubdomain, ['a.b', '_sip._tcp.abc_d.com'], ['_', '__a', 'a_', 'a._', 'A', long(254)]],
    ['checkWildcardSubdomain', checkWildcardSubdomain, ['*.example.com'], ['*', 'a.b', '*.*.b', 'x*.b']],
    ['checkPercent', checkPercent, ['0%', '100%'], ['%', '1', '-1%']],
    ['checkHttpHeaderName', checkHttpHeaderName, ['X-A'], ['', 'a b', 'a_b']],
    ['checkCIdentifier', checkCIdentifier, ['_a', 'A1'], ['', '1a', 'a-b']],
  ] as const)('%s', (_name, check, good, bad) => {
    for (const value of good) expect(check(value), value).toEqual([]);
    for (const value of bad) expect(check(value), value).not.toEqual([]);
  });

  it('explains in the words that clients know', () => {
    expect(checkDns1123Label('A')).toEqual([
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ]);
    expect(checkDns1123Label('a.b')).toEqual(['must not contain dots']);
    expect(checkPortNumber(0)).toEqual(['must be between 1 and 65535, inclusive']);
  });
});
