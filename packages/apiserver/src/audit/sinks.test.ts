import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Logger, silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type WebhookClient, webhookClient } from '../connect/webhook-client.ts';
import { type ReviewServer, startReviewServer } from '../testing/review-server.ts';
import type { AuditEvent } from './audit-event.ts';
import { LogSink, type LogSinkOptions } from './log-sink.ts';
import { WebhookSink } from './webhook-sink.ts';

const event = (auditID: string): AuditEvent => ({
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'Metadata',
  auditID,
  stage: 'ResponseComplete',
});

describe('the audit file', () => {
  let directory: string;
  let clock: FakeClock;
  const path = (): string => join(directory, 'audit.log');
  const sink = (more: Partial<LogSinkOptions> = {}): LogSink =>
    new LogSink({ path: path(), bytesMax: 0, backupsMax: 0, ageMaxMs: 0, compress: false, clock, log: silentLogger, ...more });
  const idsIn = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line).auditID);
  const asides = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name !== 'audit.log').sort();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dure-audit-'));
    clock = new FakeClock(systemClock.now());
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('holds one event a line in their order, behind those of before', async () => {
    for (const first of [0, 500]) {
      const log = sink();
      for (let number = first; number < first + 500; number += 1) log.record(event(String(number)));
      await log[Symbol.asyncDispose]();
    }
    expect(idsIn(await readFile(path(), 'utf8'))).toEqual(Array.from({ length: 1000 }, (_, number) => String(number)));
  });

  it('keeps integers of 64 bits in the objects that it shows', async () => {
    const log = sink();
    log.record({ ...event('1'), requestObject: { n: 9223372036854775807n } });
    await log[Symbol.asyncDispose]();
    expect(await readFile(path(), 'utf8')).toContain('"requestObject":{"n":9223372036854775807}');
  });

  it('is put aside before it grows too large, without losing a line', async () => {
    const line = JSON.stringify(event('0')).length + 1;
    const log = sink({ bytesMax: line * 10 });
    for (let number = 0; number < 35; number += 1) log.record(event(String(number % 10)));
    await log[Symbol.asyncDispose]();
    const names = await asides();
    expect(names).toHaveLength(3);
    const texts = await Promise.all([...names, 'audit.log'].map((name) => readFile(join(directory, name), 'utf8')));
    expect(texts.map((text) => idsIn(text).length)).toEqual([10, 10, 10, 5]);
  });

  it('that is put aside twice within a moment leaves both, the older one first', async () => {
    const line = JSON.stringify(event('0')).length + 1;
    const log = sink({ bytesMax: line, backupsMax: 3 });
    for (const id of ['1', '2', '3', '4', '5', '6', '7']) log.record(event(id));
    await log[Symbol.asyncDispose]();
    const texts = await Promise.all((await asides()).map((name) => readFile(join(directory, name), 'utf8')));
    expect(texts.flatMap(idsIn)).toEqual(['4', '5', '6']);
  });

  it('leaves compressed files aside, and not more than it may', async () => {
    const line = JSON.stringify(event('0')).length + 1;
    const log = sink({ bytesMax: line, backupsMax: 2, compress: true });
    for (const id of ['1', '2', '3', '4', '5']) {
      log.record(event(id));
      await clock.advance(1000);
      await expect.poll(async () => idsIn(await readFile(path(), 'utf8').catch(() => ''))).toEqual([id]);
    }
    await log[Symbol.asyncDispose]();
    const names = await asides();
    expect(names).toHaveLength(2);
    for (const [index, name] of names.entries()) {
      expect(name).toMatch(/^audit-.*\.log\.gz$/);
      expect(idsIn(gunzipSync(await readFile(join(directory, name))).toString())).toEqual([String(index + 3)]);
    }
  });

  it('forgets what is too old, and nothing that is not its own', async () => {
    await writeFile(join(directory, 'audit-notes.log'), 'mine');
    await writeFile(join(directory, 'audit-2020-01-01T00-00-00.000.log'), '');
    await clock.advance(3 * 24 * 3_600_000);
    const log = sink({ bytesMax: 1, ageMaxMs: 2 * 24 * 3_600_000 });
    log.record(event('1'));
    log.record(event('2'));
    await log[Symbol.asyncDispose]();
    // What was put aside just now carries the time of the system, which the fake clock has left behind.
    expect(await asides()).toEqual(['audit-notes.log']);
  });

  it('that cannot be written costs its events, says so, and nothing else', async () => {
    const told: string[] = [];
    const log: Logger = { ...silentLogger, error: (message) => void told.push(message) };
    const failing = sink({ path: join('/dev/null/nowhere', 'audit.log'), log });
    failing.record(event('1'));
    await failing[Symbol.asyncDispose]();
    expect(told).toEqual(['audit events were not written']);
  });
});

describe('an audit webhook', () => {
  let reviews: ReviewServer;
  let client: WebhookClient;
  let clock: FakeClock;
  let told: { message: string; events: number }[];
  let log: Logger;
  const ids = (): string[][] => reviews.sent.map(({ items }) => items.map(({ auditID }: AuditEvent) => auditID));

  beforeEach(async () => {
    reviews = await startReviewServer();
    reviews.answer = () => 200;
    client = webhookClient({ clock: systemClock, random: systemRandom });
    clock = new FakeClock();
    told = [];
    log = { ...silentLogger, error: (message, fields) => void told.push({ message, events: Number(fields?.events) }) };
  });
  afterEach(async () => {
    await client[Symbol.asyncDispose]();
    await reviews[Symbol.asyncDispose]();
  });
  const sink = (more: object = {}): WebhookSink =>
    new WebhookSink({ client, target: reviews.target, clock, log, batchMax: 3, waitMaxMs: 1000, waitingMax: 5, ...more });

  it('gets full batches at once and the rest after a while', async () => {
    const webhook = sink();
    for (const id of ['1', '2', '3', '4']) webhook.record(event(id));
    await expect.poll(() => ids()).toEqual([['1', '2', '3']]);
    expect(reviews.sent[0]).toMatchObject({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1' });
    await expect.poll(() => clock.sleeping).toBe(1);
    await clock.advance(1000);
    await expect.poll(() => ids()).toEqual([['1', '2', '3'], ['4']]);
    await webhook[Symbol.asyncDispose]();
  });

  it('gets a batch again until it takes it', async () => {
    reviews.answer = () => 500;
    const webhook = sink();
    for (const id of ['1', '2', '3']) webhook.record(event(id));
    await expect.poll(() => clock.sleeping).toBe(1);
    reviews.answer = () => 200;
    await clock.advance(10_000);
    await expect
      .poll(() => ids())
      .toEqual([
        ['1', '2', '3'],
        ['1', '2', '3'],
      ]);
    await webhook[Symbol.asyncDispose]();
    expect(ids()).toHaveLength(2);
    expect(told).toEqual([]);
  });

  it('that takes nothing costs what is beyond the bound, and the log says how many', async () => {
    reviews.answer = () => 500;
    const webhook = sink();
    for (const id of ['1', '2', '3', '4', '5', '6', '7']) webhook.record(event(id));
    for (const pauseMs of [10_000, 20_000, 40_000, 60_000]) {
      await expect.poll(() => clock.sleeping).toBe(1);
      await clock.advance(pauseMs);
    }
    await expect.poll(() => told).toEqual([{ message: 'audit events were lost', events: 5 }]);
    reviews.answer = () => 200;
    await webhook[Symbol.asyncDispose]();
    expect(ids().at(-1)).toEqual(['4', '5']);
  });

  it('gets what waits when the server ends', async () => {
    const webhook = sink();
    webhook.record(event('1'));
    await webhook[Symbol.asyncDispose]();
    expect(ids()).toEqual([['1']]);
    webhook.record(event('2'));
    await webhook[Symbol.asyncDispose]();
    expect(ids()).toHaveLength(1);
  });
});
