import { type Secret, secrets, serviceAccounts } from '@dure/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ControllerBench, controllerBench } from '../testing/controller-bench.ts';
import { tokenSecretController } from './token-secret-controller.ts';

const TYPE = 'kubernetes.io/service-account-token';
let run: ControllerBench;
let signed: string[];

beforeEach(async () => {
  signed = [];
  const signToken = async ({
    namespace,
    secretName,
    serviceAccount,
  }: {
    namespace: string;
    secretName: string;
    serviceAccount: object;
  }) => {
    signed.push(`${namespace}/${secretName}`);
    return `token of ${JSON.stringify(serviceAccount)}`;
  };
  run = controllerBench({ tokens: tokenSecretController({ rootCa: 'CA', signToken }) });
  run.client.serve(secrets, serviceAccounts);
  await run.start();
});
afterEach(() => run[Symbol.asyncDispose]());

const text = (value: string | undefined): string => Buffer.from(value ?? '', 'base64').toString();
const peek = (): Secret | undefined => run.client.peek<Secret>(secrets, 'default/web-token');
const putAccount = (): void => void run.client.put(serviceAccounts, { metadata: { namespace: 'default', name: 'web' } });
const putSecret = (more: object = {}, annotations: Record<string, string> = {}): void =>
  void run.client.put(secrets, {
    metadata: { namespace: 'default', name: 'web-token', annotations: { 'kubernetes.io/service-account.name': 'web', ...annotations } },
    type: TYPE,
    ...more,
  });

describe('a Secret that asks for a token', () => {
  it('gets it, with the authority and the namespace', async () => {
    putAccount();
    putSecret();
    await run.settle();
    const uid = run.client.peek(serviceAccounts, 'default/web')?.metadata.uid;
    const { data, metadata } = peek() ?? {};
    expect(text(data?.token)).toBe(`token of {"name":"web","uid":"${uid}"}`);
    expect([text(data?.['ca.crt']), text(data?.namespace)]).toEqual(['CA', 'default']);
    expect(metadata?.annotations?.['kubernetes.io/service-account.uid']).toBe(uid);
    expect(signed).toEqual(['default/web-token']);
  });

  it('keeps the token that it has, and gets back what is missing beside it', async () => {
    putAccount();
    putSecret({ data: { token: 'bWluZQ==' } });
    await run.settle();
    expect(text(peek()?.data?.token)).toBe('mine');
    expect(text(peek()?.data?.['ca.crt'])).toBe('CA');
    expect(signed).toEqual([]);
  });

  it('goes with its account', async () => {
    putAccount();
    putSecret();
    await run.settle();
    await run.client.delete(serviceAccounts, { namespace: 'default', name: 'web' });
    await run.settle();
    expect(peek()).toBeUndefined();
  });

  it('goes where its account is another of the same name, or none', async () => {
    putAccount();
    putSecret({}, { 'kubernetes.io/service-account.uid': 'old' });
    await run.settle();
    expect(peek()).toBeUndefined();
  });

  it('is left alone where it is of another type', async () => {
    putSecret({ type: 'Opaque' });
    await run.settle();
    expect(peek()?.data).toBeUndefined();
    expect(signed).toEqual([]);
  });
});
