import type { JsonObject } from '@dure/api';
import { FakeClock } from '@dure/foundation/testing';
import { beforeEach, expect, it } from 'vitest';
import type { ExtensionDialer } from '../connect/extension-dialer.ts';
import type { ApiService } from './api-service.ts';
import { ExtensionDocuments } from './extension-documents.ts';

const service = {
  name: 'v1.a.b',
  group: 'a.b',
  version: 'v1',
  target: { namespace: 'n', name: 's', port: 443, caBundle: '', insecureSkipTLSVerify: true },
} as ApiService;
const { signal } = new AbortController();

let answers: Record<string, JsonObject>;
let documents: ExtensionDocuments;
let changes: number;

beforeEach(() => {
  answers = {
    '/apis': { kind: 'APIGroupList' },
    '/apis/a.b/v1': { kind: 'APIResourceList', resources: [{ name: 'xs', kind: 'X', namespaced: true, verbs: ['get'] }] },
    '/openapi/v2': { swagger: '2.0' },
    '/openapi/v3': { paths: { 'apis/a.b/v1': { serverRelativeURL: '/openapi/v3/apis/a.b/v1?hash=1' } } },
  };
  const dialer: ExtensionDialer = {
    async request(_to, { path }) {
      const answer = answers[path];
      const text = JSON.stringify(answer ?? {});
      const body = (async function* () {
        yield Buffer.from(text);
      })();
      return { status: answer === undefined ? 404 : 200, headers: {}, body };
    },
    async connect() {
      throw new Error('not asked for');
    },
    async [Symbol.asyncDispose]() {},
  };
  documents = new ExtensionDocuments(dialer, new FakeClock());
  changes = 0;
  documents.onChange(() => {
    changes += 1;
  });
});

it('tells of changes only, whether or not the server names its documents by ETags', async () => {
  await documents.refresh(service, signal);
  const first = documents.of(service);
  expect(first).toMatchObject({ isFresh: true, resources: [{ resource: 'xs' }], openApiUrl: '/openapi/v3/apis/a.b/v1?hash=1' });
  expect(changes).toBe(1);
  await documents.refresh(service, signal);
  expect(changes).toBe(1);
  expect(documents.of(service)?.swagger).toBe(first?.swagger);
  answers['/openapi/v2'] = { swagger: '2.0', paths: {} };
  await documents.refresh(service, signal);
  expect(changes).toBe(2);
});

it('keeps what it knew where the server fails, and does without what the server does not have', async () => {
  delete answers['/openapi/v2'];
  delete answers['/openapi/v3'];
  await documents.refresh(service, signal);
  expect(documents.of(service)).toMatchObject({ isFresh: true, swagger: undefined });
  delete answers['/apis/a.b/v1'];
  await expect(documents.refresh(service, signal)).rejects.toThrow('read /apis/a.b/v1 of v1.a.b: the server answered 404');
  expect(documents.of(service)).toMatchObject({ isFresh: false, resources: [{ resource: 'xs' }] });
  documents.forget(service.name);
  expect(documents.of(service)).toBeUndefined();
  expect(changes).toBe(3);
});
