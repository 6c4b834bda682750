import { type ConfigMap, configMaps, type Draft, isAlreadyExists, isConflict, isNotFound } from '@dure/api';
import { type BootstrapFacts, clientAuthorities } from '@dure/apiserver';
import type { Client } from '@dure/client';

const ATTEMPTS_MAX = 20;

/**
 * Tells extension API servers whom to believe: what this server needs is added to what stands there, since others on the same store may have
 * authorities of their own.
 */
export async function publishClientAuthorities(client: Client, facts: BootstrapFacts, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { metadata, ...wanted } = clientAuthorities(facts);
    const existing = await client.get(configMaps, metadata, signal).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      return undefined;
    });
    try {
      if (existing === undefined) await client.create(configMaps, { ...wanted, metadata } as Draft<ConfigMap>, {}, signal);
      else await client.update(configMaps, { ...existing, data: clientAuthorities(facts, existing.data).data }, {}, signal);
      return;
    } catch (error) {
      // Another control plane that starts now was faster.
      if ((!isAlreadyExists(error) && !isConflict(error) && !isNotFound(error)) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
