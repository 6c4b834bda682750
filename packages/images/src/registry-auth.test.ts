import { describe, expect, test } from 'vitest';
import { parseChallenges, parseToken, tokenUrl } from './registry-auth.ts';

describe('parseChallenges', () => {
  test('reads quoted and plain parameters', () => {
    expect(
      parseChallenges('Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"'),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: { realm: 'https://auth.example/token', service: 'registry.example', scope: 'repository:a/b:pull,push' },
      },
    ]);
    expect(parseChallenges('Basic realm=test')).toEqual([{ scheme: 'basic', parameters: { realm: 'test' } }]);
  });

  test('reads several in one header, in their order', () => {
    const found = parseChallenges('Negotiate, Basic realm="a, b=\\"c\\"", Bearer realm="https://x/"');
    expect(found.map(({ scheme }) => scheme)).toEqual(['negotiate', 'basic', 'bearer']);
    expect(found[1]?.parameters.realm).toBe('a, b="c"');
  });

  test('ends on rubbish instead of hanging', () => {
    for (const header of ['', '=', '"""', 'a="unclosed', ','.repeat(50_000), 'x '.repeat(20_000)])
      expect(Array.isArray(parseChallenges(header))).toBe(true);
  });
});

describe('parseToken', () => {
  test('takes either name, and a minute where none is said', () => {
    expect(parseToken({ token: 'a', expires_in: 300 })).toEqual({ value: 'a', lifetimeMs: 300_000 });
    expect(parseToken({ access_token: 'b' })).toEqual({ value: 'b', lifetimeMs: 60_000 });
    expect(parseToken({ token: '', access_token: 'c' })?.value).toBe('c');
  });

  test('refuses what could not stand in a header', () => {
    for (const document of [undefined, 'x', {}, { token: 5 }, { token: 'a\r\nx: y' }, { token: 'a b' }])
      expect(parseToken(document)).toBeUndefined();
  });
});

describe('tokenUrl', () => {
  test("keeps the realm's own query", () => {
    const [challenge] = parseChallenges('Bearer realm="https://x/token?account=1",service="s"');
    expect(challenge === undefined ? '' : tokenUrl(challenge, 'repository:a:pull')?.href).toBe(
      'https://x/token?account=1&service=s&scope=repository%3Aa%3Apull',
    );
  });

  test('takes web addresses only', () => {
    expect(tokenUrl({ scheme: 'bearer', parameters: { realm: 'file:///etc/passwd' } }, 's')).toBeUndefined();
    expect(tokenUrl({ scheme: 'bearer', parameters: { realm: 'nonsense' } }, 's')).toBeUndefined();
    expect(tokenUrl({ scheme: 'bearer', parameters: {} }, 's')).toBeUndefined();
  });
});
