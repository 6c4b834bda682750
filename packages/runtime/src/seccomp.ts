import type { SeccompProfile } from './contract.ts';
export async function seccompProgram(
  _profile: SeccompProfile,
  _available: bigint,
  _caps: { add: readonly string[]; drop: readonly string[] },
): Promise<Uint8Array | undefined> {
  return undefined;
}
