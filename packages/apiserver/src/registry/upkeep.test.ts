import { builtinKinds, KindRegistry } from '@dure/api';
import { silentLogger, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { CompactedError, openMemoryStore, type Revision } from '@dure/store';
import { expect, it } from 'vitest';
import { createApiServer } from '../api-server.ts';
import { admitAll, allowKnown, certificateNames } from '../testing/open-parts.ts';

it('forgets history after five minutes and Events after an hour, and nothing else', async () => {
  const clock = new FakeClock();
  await using store = openMemoryStore();
  await using server = createApiServer({
    store,
    kinds: new KindRegistry(builtinKinds),
    clock,
    random: systemRandom,
    log: silentLogger,
    authenticator: () => certificateNames,
    authorizer: () => allowKnown,
    admission: () => admitAll,
  });
  await using transport = server.transport({ name: 'test', groups: ['system:masters'] }, 'test');
  const post = (path: string, body: object) =>
    transport.send({ method: 'POST', path, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(body)) });
  const count = (resource: string) => store.count(`/registry/${resource}/`);
  const event = { metadata: { name: 'old', namespace: 'default' }, involvedObject: { namespace: 'default' } };
  expect((await post('/api/v1/namespaces/default/events', event)).status).toBe(201);
  expect((await post('/api/v1/namespaces/default/configmaps', { metadata: { name: 'kept' } })).status).toBe(201);

  await clock.advance(10 * 60_000);
  await expect
    .poll(() =>
      store.list('/registry/', { at: 1 as Revision }).then(
        () => 'readable',
        (error: unknown) => error,
      ),
    )
    .toBeInstanceOf(CompactedError);
  expect(await count('events')).toBe(1);
  await clock.advance(52 * 60_000);
  await expect.poll(() => count('events')).toBe(0);
  expect(await count('configmaps')).toBe(1);
});
