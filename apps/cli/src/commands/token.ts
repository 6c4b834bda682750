import { systemClock, systemRandom } from '@dure/foundation';
import { connect } from '../cluster-client.ts';
import { UserFault } from '../fault.ts';
import { createJoinToken, deleteJoinToken, listJoinTokens, renderJoinToken } from '../join-token.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30m`, `24h`, `7d` in milliseconds. @throws {UserFault} Anything else. */
export function parseTtlMs(text: string): number {
  const [, amount, unit] = /^([1-9][0-9]{0,5})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit ?? ''];
  if (amount === undefined || unitMs === undefined) throw new UserFault(`--ttl ${text}: expected a number and s, m, h or d, such as 24h`);
  return Number(amount) * unitMs;
}

export async function runTokenCreate(kubeconfig: string, ttl: string, description: string, write: (line: string) => void): Promise<void> {
  const ttlMs = parseTtlMs(ttl);
  await using connection = await connect(kubeconfig);
  const token = await createJoinToken(connection.client, {
    ca: connection.ca,
    ttlMs,
    description,
    clock: systemClock,
    random: systemRandom,
  });
  write(renderJoinToken(token));
}

export async function runTokenList(kubeconfig: string, write: (line: string) => void): Promise<void> {
  await using connection = await connect(kubeconfig);
  const rows = [{ id: 'ID', expiration: 'EXPIRES', description: 'DESCRIPTION' }, ...(await listJoinTokens(connection.client))];
  for (const { id, expiration, description } of rows) write(`${id.padEnd(9)}${expiration.padEnd(27)}${description}`);
}

export async function runTokenDelete(kubeconfig: string, id: string, write: (line: string) => void): Promise<void> {
  await using connection = await connect(kubeconfig);
  await deleteJoinToken(connection.client, id);
  write(`token ${id.split('.')[0]} deleted`);
}
