import { describe, expect, it } from 'vitest';
import { proxiedLink, proxiedPage } from './proxied-links.ts';

const page = { prefix: '/api/v1/namespaces/default/pods/p/proxy', targetHost: '10.42.0.9:80', requestHost: 'cluster.example:6443' };

describe('a link behind the proxy', () => {
  it.each([
    ['/rewriteme', `${page.prefix}/rewriteme`],
    ['/', `${page.prefix}/`],
    ['/a/../b/?q=/x#f', `${page.prefix}/b/?q=/x#f`],
    ['http://10.42.0.9:80/a', `${page.prefix}/a`],
    ['https://cluster.example:6443/a', `https://cluster.example:6443${page.prefix}/a`],
    [`${page.prefix}/a`, `${page.prefix}/a`],
  ])('to %s leads through it', (link, rewritten) => {
    expect(proxiedLink(link, page)).toBe(rewritten);
  });

  it.each(['a/b', '', '#top', '?q=1', 'https://elsewhere.example/a', '//elsewhere.example/a', 'mailto:x@example.com', 'javascript:go()'])(
    'to %j stays as it is',
    (link) => {
      expect(proxiedLink(link, page)).toBe(link);
    },
  );
});

async function rewritten(text: string, size = text.length): Promise<string> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of proxiedPage(pieces(), page)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

describe('a page behind the proxy', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['<a href="/x">/y</a>', `<a href="${page.prefix}/x">/y</a>`],
    ["<IMG alt='/no' SRC = '/x'/>", `<IMG alt='/no' SRC = '${page.prefix}/x'/>`],
    ['<form action=/x method=post>', `<form action=${page.prefix}/x method=post>`],
    ['<a title="a > b" href="/x">', `<a title="a > b" href="${page.prefix}/x">`],
    ["<p>it's <a href='/ü'>", `<p>it's <a href='${page.prefix}/ü'>`],
    ['<!-- <a href="/x"> --><a href="/x">', `<!-- <a href="/x"> --><a href="${page.prefix}/x">`],
    ['<script>"<a href=\'/x\'>"</SCRIPT><a href="/x">', `<script>"<a href='/x'>"</SCRIPT><a href="${page.prefix}/x">`],
    ['a < b <!doctype html></p><div src="/x"><a', 'a < b <!doctype html></p><div src="/x"><a'],
  ];

  it.each(cases)('%s', async (text, expected) => {
    expect(await rewritten(text)).toBe(expected);
  });

  it('may come in pieces of any size', async () => {
    const text = cases
      .map(([from]) => from)
      .join('\n')
      .slice(0, -2);
    const expected = await rewritten(text);
    for (let size = 1; size < text.length; size += 1) expect(await rewritten(text, size)).toBe(expected);
  });
});
