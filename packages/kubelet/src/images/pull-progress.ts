import type { PullProgress } from '@dure/images';

const FIRST_MS = 10_000;

/**
 * When a long pull says how far it has come: after ten seconds, and then each time it has taken twice as long, so that a pull of a day makes a
 * dozen Events.
 * @returns What to say of `progress` at `nowMs`, monotonic; `undefined`: nothing now.
 */
export function pullProgressReporter(image: string, beganMs: number): (progress: PullProgress, nowMs: number) => string | undefined {
  let nextMs = beganMs + FIRST_MS;
  return ({ layersDone, layersTotal, bytesDone, bytesTotal }, nowMs) => {
    if (nowMs < nextMs) return undefined;
    nextMs = nowMs + (nowMs - beganMs);
    return `Pulling image "${image}": ${layersDone} of ${layersTotal} layers, ${megabytes(bytesDone)} of ${megabytes(bytesTotal)} MB`;
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
