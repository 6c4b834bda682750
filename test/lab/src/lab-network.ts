import { existsSync } from 'node:fs';
import { runCommand } from '@dure/test-support';

/** One switch in the lab's own network namespace; this side of it has the first address. */
export const BRIDGE = 'lab0';
export const gatewayAddress = '10.77.0.1';

export function machineAddress(number: number): string {
  return `10.77.0.${10 + number}`;
}

/** Makes the switch unless it stands. */
export async function makeLabNetwork(): Promise<void> {
  await runCommand('ip', ['link', 'set', 'lo', 'up']);
  if (existsSync(`/proc/sys/net/ipv4/conf/${BRIDGE}`)) return;
  await runCommand('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
  await runCommand('ip', ['addr', 'add', `${gatewayAddress}/24`, 'dev', BRIDGE]);
  await runCommand('ip', ['link', 'set', BRIDGE, 'up']);
}

/** Why a lab cannot be made here. Lab tests change links and routes: never outside a namespace made for them. */
export function labUnavailable(): string | undefined {
  if (process.env.DURE_ISOLATED !== '1') return 'not in a namespace of its own: run it with npm test -- lab';
  return undefined;
}
