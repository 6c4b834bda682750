import type { Pod } from '@dure/api';
import type { NamedContainer } from '../pod-identity.ts';

/**
 * Whether a container that ended with `exitCode` runs again. Container-level rules come first, then the container's own policy, then the Pod's.
 * @see KEP-753 (sidecars), KEP-5307 (container restart rules)
 */
export function shouldRestart(pod: Pod, { kind, spec }: NamedContainer, exitCode: number): boolean {
  if (kind === 'ephemeral') return false;
  for (const rule of spec.restartPolicyRules ?? []) {
    const matches = rule.exitCodes?.values?.includes(exitCode) ?? false;
    if (rule.action === 'Restart' && matches === (rule.exitCodes?.operator !== 'NotIn')) return true;
  }
  const policy = spec.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (policy === 'Never') return false;
  // A plain init container is done once it has succeeded, whatever the policy says.
  if (policy === 'OnFailure' || kind === 'init') return exitCode !== 0;
  return true;
}
