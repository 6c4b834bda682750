import { mkdtempSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@dure/foundation';
import { FakeClock } from '@dure/foundation/testing';
import { parseCertificate } from '@dure/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openClusterPki } from './cluster-pki.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dure-pki-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '10.43.0.1'] };
const context = () => ({ clock: new FakeClock(), random: seededRandom(1) });

describe('openClusterPki', () => {
  it('finds everything again, with keys that only root reads', async () => {
    const first = await openClusterPki(directory, names, context());
    expect(await openClusterPki(directory, names, context())).toEqual(first);
    for (const key of ['ca', 'apiserver', 'apiserver-kubelet-client', 'front-proxy-ca', 'front-proxy-client', 'admin', 'sa'])
      expect(statSync(join(directory, `${key}.key`)).mode & 0o777).toBe(0o600);
    expect(parseCertificate(first.admin.certificatePem)).toMatchObject({
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
    });
  });

  it('keeps the authority and renews the serving certificate when an address is new', async () => {
    const first = await openClusterPki(directory, names, context());
    const second = await openClusterPki(directory, { ...names, ipAddresses: [...names.ipAddresses, '192.0.2.9'] }, context());
    expect(second.ca).toEqual(first.ca);
    expect(second.admin).toEqual(first.admin);
    expect(parseCertificate(second.serving.certificatePem).ipAddresses).toContain('192.0.2.9');
    expect(second.serving).not.toEqual(first.serving);
  });

  it('renews before the end of a certificate, and what a crash left half written', async () => {
    const first = await openClusterPki(directory, names, context());
    const late = context();
    late.clock.jumpTo(late.clock.now() + 300 * 24 * 3_600_000);
    const second = await openClusterPki(directory, names, late);
    expect(second.ca).toEqual(first.ca);
    expect(second.serving).not.toEqual(first.serving);
    unlinkSync(join(directory, 'admin.crt'));
    expect((await openClusterPki(directory, names, late)).admin).not.toEqual(second.admin);
  });
});
