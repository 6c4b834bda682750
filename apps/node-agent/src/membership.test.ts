import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom, silentLogger, systemClock } from '@dure/foundation';
import { type Authority, certificatePin, createAuthority, issueCertificate } from '@dure/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, parseConfig } from './config.ts';
import { JoinTokenRefusedError, obtainMembership } from './membership.ts';
import { UntrustedServerError } from './trust.ts';

const context = { clock: systemClock, random: seededRandom(3) };
/** Waits are the business of whoever waits. */
const hurried = { ...systemClock, sleep: async () => {} };
const signal = new AbortController().signal;

let dataDir: string;
let authority: Authority;
let server: Server;
let asked: string[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'dure-membership-'));
  authority = await createAuthority({ commonName: 'ca' }, context);
  asked = [];
  const names = { commonName: 'kube-apiserver', organizations: [], ipAddresses: ['127.0.0.1'], usages: ['server auth'] } as const;
  const { certificatePem, privateKeyPem } = await issueCertificate(authority, names, context);
  server = createServer({ key: privateKeyPem, cert: `${certificatePem}\n${authority.certificatePem}` }, (request, response) => {
    asked.push(`${request.headers.authorization}`);
    request.resume();
    const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Unauthorized', message: 'Unauthorized', code: 401 };
    response.writeHead(401, { 'content-type': 'application/json' }).end(JSON.stringify(status));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await rm(dataDir, { recursive: true, force: true });
});

function configWith(pin: string): Config {
  const { port } = server.address() as AddressInfo;
  const token = `dure1.${pin.replace('sha256:', '')}.abcdef.0123456789abcdef`;
  return parseConfig(['--data-dir', dataDir, '--server', `https://127.0.0.1:${port}`, '--token', token], {});
}

describe('joining', () => {
  it('ends with what to do when the server keeps refusing the token, and keeps nothing', async () => {
    const joining = obtainMembership(configWith(certificatePin(authority.certificatePem)), hurried, silentLogger, signal);
    await expect(joining).rejects.toThrow(JoinTokenRefusedError);
    await expect(joining).rejects.toThrow(/unknown or expired; make another with "dure token create"/);
    expect(asked).toEqual(Array(3).fill('Bearer abcdef.0123456789abcdef'));
    await expect(stat(join(dataDir, 'pki'))).rejects.toThrow('ENOENT');
  });

  it('never shows the token to a server whose authority is not the pinned one', async () => {
    const other = await createAuthority({ commonName: 'ca' }, context);
    const joining = obtainMembership(configWith(certificatePin(other.certificatePem)), hurried, silentLogger, signal);
    await expect(joining).rejects.toThrow(UntrustedServerError);
    expect(asked.filter((authorization) => authorization.includes('abcdef'))).toEqual([]);
  });
});
