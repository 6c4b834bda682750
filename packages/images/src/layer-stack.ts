import { abortable } from '@dure/foundation';
import type { Digest } from './digest.ts';
import type { Layer, LayerStore } from './layer-store.ts';
import { CallerLeftError, type SharedWork } from './shared-work.ts';

/** A layer that an image needs, and how to get at its archive if it is not here. */
export interface WantedLayer {
  readonly diffID: Digest;
  /** Brings the archive near, if that takes anything, and opens it. */
  readonly fetch: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;
  /** Called once the unpacked layer is here, however it came. */
  readonly onDone: () => void;
}

export interface LayerStackDeps {
  readonly layers: LayerStore;
  /** By the diffIDs from the bottom up to a layer. */
  readonly work: SharedWork<Layer>;
}

/**
 * Makes all of an image's layers present, side by side, each once however many images want it at the same time. The caller holds leases on their
 * diffIDs, so that none is swept away before a record shows it.
 * @param wanted Lowest first. @returns Layers, lowest first. @throws what the first failing layer threw, once all have ended.
 */
export async function stackLayers(
  wanted: readonly WantedLayer[],
  { layers, work }: LayerStackDeps,
  signal: AbortSignal,
): Promise<readonly Layer[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const pending: Promise<Layer>[] = [];
  for (const [at, layer] of wanted.entries()) {
    const below = async (): Promise<readonly string[]> => {
      try {
        const lower = await abortable(Promise.all(pending.slice(0, at)), either);
        return lower.map(({ name }) => layers.directoryOf(name)).reverse();
      } catch (error) {
        if (either.aborted) throw new CallerLeftError();
        throw error;
      }
    };
    const chain = wanted.slice(0, at + 1).map(({ diffID }) => diffID);
    const made = work
      .run(chain.join(' '), (shared) => makePresent(layer, layers, below, shared), either)
      .then((present) => {
        layer.onDone();
        return present;
      });
    made.catch((error: unknown) => failed.abort(error));
    pending.push(made);
  }
  await Promise.allSettled(pending);
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
  return Promise.all(pending);
}

async function makePresent(
  { diffID, fetch }: WantedLayer,
  layers: LayerStore,
  below: () => Promise<readonly string[]>,
  signal: AbortSignal,
): Promise<Layer> {
  // What lies below is only waited for when it can decide something.
  if (layers.list().some((layer) => layer.diffID === diffID)) {
    const present = await layers.find(diffID, await below());
    if (present !== undefined) return present;
  }
  return layers.unpack(diffID, await fetch(signal), below, signal);
}
