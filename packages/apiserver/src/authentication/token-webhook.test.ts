import { systemClock, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type WebhookClient, webhookClient } from '../connect/webhook-client.ts';
import { type ReviewServer, startReviewServer } from '../testing/review-server.ts';
import { TokenWebhook } from './token-webhook.ts';

const API = 'https://kubernetes.default.svc';
const { signal } = new AbortController();
let reviews: ReviewServer;
let client: WebhookClient;
let clock: FakeClock;
let webhook: TokenWebhook;

beforeAll(async () => {
  reviews = await startReviewServer();
  client = webhookClient({ clock: systemClock, random: systemRandom });
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await reviews[Symbol.asyncDispose]();
});
beforeEach(() => {
  reviews.sent.length = 0;
  clock = new FakeClock();
  webhook = new TokenWebhook({ client, target: reviews.target, version: 'v1', cacheTtlMs: 120_000, audiences: [API], clock });
});

const jane = { username: 'jane', uid: '7', groups: ['a'], extra: { 'Example.com/X': ['1'] } };
const yes = (more: object = {}) => ({ kind: 'TokenReview', status: { authenticated: true, user: jane, ...more } });

describe('a token webhook', () => {
  it.each(['v1', 'v1beta1'] as const)('is sent a TokenReview %s, and its user signs in', async (version) => {
    reviews.answer = () => yes();
    const asked = new TokenWebhook({ client, target: reviews.target, version, cacheTtlMs: 0, audiences: [API], clock });
    expect(await asked.authenticate('t1', [], signal)).toEqual({
      user: { name: 'jane', uid: '7', groups: ['a'], extra: { 'example.com/x': ['1'] } },
      audiences: [API],
    });
    expect(reviews.sent).toMatchObject([
      { apiVersion: `authentication.k8s.io/${version}`, kind: 'TokenReview', spec: { token: 't1', audiences: [API] } },
    ]);
  });

  it('is asked once for each token and audiences while its answer counts, whatever that is', async () => {
    reviews.answer = ({ spec }) => (spec.token === 'good' ? yes() : { status: { authenticated: false } });
    for (let round = 0; round < 3; round += 1) {
      expect(await webhook.authenticate('good', [], signal)).toBeDefined();
      expect(await webhook.authenticate('bad', [], signal)).toBeUndefined();
    }
    expect(reviews.sent).toHaveLength(2);
    await webhook.authenticate('good', ['vault'], signal);
    expect(reviews.sent).toHaveLength(3);
    await clock.advance(120_000);
    await webhook.authenticate('good', [], signal);
    expect(reviews.sent).toHaveLength(4);
  });

  it('says for which of the audiences a token is good', async () => {
    reviews.answer = () => yes({ audiences: ['vault', 'other'] });
    expect((await webhook.authenticate('t', ['vault', 'third'], signal))?.audiences).toEqual(['vault']);
    expect(await webhook.authenticate('t', ['third'], signal)).toBeUndefined();
    reviews.answer = () => yes();
    expect(await webhook.authenticate('u', ['vault'], signal)).toBeUndefined();
  });

  it('that says what is wrong is repeated and not remembered', async () => {
    reviews.answer = () => ({ status: { authenticated: false, error: 'directory is closed' } });
    await expect(webhook.authenticate('t', [], signal)).rejects.toThrow('directory is closed');
    reviews.answer = () => yes();
    expect(await webhook.authenticate('t', [], signal)).toBeDefined();
  });

  it('that is busy is asked again with growing pauses, five times in all', async () => {
    reviews.answer = () => 503;
    const failed = webhook.authenticate('t', [], signal).catch((error: unknown) => error);
    for (const [tries, pauseMs] of [500, 1000, 2000, 4000].entries()) {
      await expect.poll(() => clock.sleeping).toBe(1);
      expect(reviews.sent).toHaveLength(tries + 1);
      await clock.advance(pauseMs - 1);
      expect(clock.sleeping).toBe(1);
      await clock.advance(1);
    }
    expect(await failed).toBeInstanceOf(Error);
    expect(reviews.sent).toHaveLength(5);
  });

  it('that names nobody signs in nobody', async () => {
    reviews.answer = () => ({ status: { authenticated: true, user: {} } });
    await expect(webhook.authenticate('t', [], signal)).rejects.toThrow('names no user');
    reviews.answer = () => [];
    expect(await webhook.authenticate('u', [], signal)).toBeUndefined();
  });
});
