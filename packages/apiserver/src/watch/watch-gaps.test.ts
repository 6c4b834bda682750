import { builtinKinds, KindRegistry } from '@dure/api';
import { seededRandom } from '@dure/foundation';
import { describe, expect, it } from 'vitest';
import { type TestClient, testClient } from '../testing/test-client.ts';
import { startTestServer } from '../testing/test-server.ts';

const PATH = '/api/v1/namespaces/gaps/configmaps';
const seed = Number(process.env.DURE_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Keeps a copy of a collection as an informer does: lists, watches, goes on from the last revision, lists anew when told so. */
class Follower {
  readonly state = new Map<string, string>();
  readonly seen: number[] = [];
  relists = 0;
  resumes = 0;
  revision = 0;
  readonly #client: TestClient;
  readonly #random: ReturnType<typeof seededRandom>;

  constructor(client: TestClient, random: ReturnType<typeof seededRandom>) {
    this.#client = client;
    this.#random = random;
  }

  async follow(done: AbortSignal): Promise<void> {
    let list = true;
    while (!done.aborted) {
      if (list) await this.#list();
      list = await this.#watch(done);
    }
  }

  async #list(): Promise<void> {
    this.relists += 1;
    const { json } = await this.#client.send('GET', PATH);
    this.state.clear();
    for (const item of json.items) this.state.set(item.metadata.name, item.data.value);
    this.revision = Number(json.metadata.resourceVersion);
  }

  /** True where the next thing to do is a list. */
  async #watch(done: AbortSignal): Promise<boolean> {
    const cut = new AbortController();
    const signal = AbortSignal.any([done, cut.signal]);
    let left = 1 + this.#random.integer(200);
    try {
      for await (const { type, object } of this.#client.watch(`${PATH}?watch=1&resourceVersion=${this.revision}`, signal)) {
        if (type === 'ERROR') return true;
        const revision = Number(object.metadata.resourceVersion);
        expect(revision, 'events come in order and never twice').toBeGreaterThan(this.revision);
        this.revision = revision;
        const name = String(object.metadata.name);
        if (type === 'DELETED') {
          expect(this.state.has(name), `a deletion of ${name} follows its creation`).toBe(true);
          this.state.delete(name);
        } else {
          expect(this.state.has(name), `${type} of ${name}`).toBe(type === 'MODIFIED');
          this.state.set(name, (object.data as { value: string }).value);
        }
        left -= 1;
        if (left === 0) {
          this.resumes += 1;
          cut.abort();
          return false;
        }
      }
    } catch (error) {
      if (String(error).includes(' 410 ')) return true;
      throw error;
    }
    return false;
  }
}

describe('watches under load', () => {
  it(`lose no event over cuts, compactions and a small window (DURE_SEED=${seed})`, async () => {
    const random = seededRandom(seed);
    await using server = await startTestServer(new KindRegistry(builtinKinds), { windowEvents: 64 });
    await using client = testClient(server);
    const done = new AbortController();
    const followers = Array.from({ length: 4 }, (_none, index) => new Follower(client, seededRandom(seed + index + 1)));
    const following = followers.map((follower) => follower.follow(done.signal));
    const model = new Map<string, string>();

    const write = async (step: number): Promise<void> => {
      const name = `o${random.integer(40)}`;
      const known = model.has(name);
      if (known && random.integer(4) === 0) {
        model.delete(name);
        expect((await client.send('DELETE', `${PATH}/${name}`)).status).toBe(200);
        return;
      }
      model.set(name, String(step));
      const body = { metadata: { name }, data: { value: String(step) } };
      const { status } = known ? await client.send('PUT', `${PATH}/${name}`, { body }) : await client.send('POST', PATH, { body });
      expect(status).toBe(known ? 200 : 201);
    };
    for (let step = 0; step < 600; step += 1) {
      await write(step);
      if (step % 100 === 99) await server.store.compact(await server.store.revision());
    }

    const { json } = await client.send('GET', PATH);
    const last = Number(json.metadata.resourceVersion);
    const expected = [...model].sort();
    expect(
      json.items.map((item: { metadata: { name: string }; data: { value: string } }) => [item.metadata.name, item.data.value]).sort(),
    ).toEqual(expected);
    await expect.poll(() => followers.every(({ revision }) => revision >= last), { timeout: 10_000 }).toBe(true);
    done.abort(new Error('enough'));
    await Promise.all(following);
    for (const follower of followers) expect([...follower.state].sort()).toEqual(expected);
    expect(followers.reduce((sum, { resumes }) => sum + resumes, 0)).toBeGreaterThan(0);
  }, 60_000);
});
