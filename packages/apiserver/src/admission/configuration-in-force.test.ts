import { builtinKinds, KindRegistry } from '@dure/api';
import { systemClock } from '@dure/foundation';
import { openMemoryStore, type Store } from '@dure/store';
import { expect, it } from 'vitest';
import { testClient } from '../testing/test-client.ts';
import { startTestServer } from '../testing/test-server.ts';
import { admissionChain } from './admission-chain.ts';

/** How far a store in another process may lag behind with its events. */
const LAG_MS = 40;

/** `store`, whose watches tell of a write only after its writer was answered. */
function lagging(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name !== 'watch') {
        const value = Reflect.get(target, name) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async function* (...args: Parameters<Store['watch']>) {
        for await (const item of target.watch(...args)) {
          await systemClock.sleep(LAG_MS);
          yield item;
        }
      };
    },
  });
}

it('a policy is in force for the request after the one that bound it, and no longer after it went', async () => {
  await using memory = await openMemoryStore({ clock: systemClock });
  await using server = await startTestServer(new KindRegistry(builtinKinds), {
    store: lagging(memory),
    admission: (_reads, _authorizer, _statuses, configured) => admissionChain(configured),
  });
  await using client = testClient(server);
  const send = async (method: string, path: string, body?: unknown): Promise<number> => (await client.send(method, path, { body })).status;
  const group = '/apis/admissionregistration.k8s.io/v1';
  const maps = '/api/v1/namespaces/default/configmaps';
  expect(await send('POST', '/api/v1/namespaces', { metadata: { name: 'default' } })).toBe(201);
  expect(await send('POST', maps, { metadata: { name: 'before' } })).toBe(201);
  const spec = {
    matchConstraints: { resourceRules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }] },
    validations: [{ expression: 'false' }],
  };
  expect(await send('POST', `${group}/validatingadmissionpolicies`, { metadata: { name: 'p' }, spec })).toBe(201);
  const binding = { metadata: { name: 'b' }, spec: { policyName: 'p', validationActions: ['Deny'] } };
  expect(await send('POST', `${group}/validatingadmissionpolicybindings`, binding)).toBe(201);
  expect(await send('POST', maps, { metadata: { name: 'refused' } })).toBe(422);
  expect(await send('DELETE', `${group}/validatingadmissionpolicybindings/b`)).toBe(200);
  expect(await send('POST', maps, { metadata: { name: 'after' } })).toBe(201);
});
