import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromJsonText, type Pod, toJsonText } from '@dure/api';
import { errnoCode, type Logger } from '@dure/foundation';

/**
 * The last desired Pods, on disk, so that an agent that starts while the API server is away goes on with them.
 * One small file per Pod, written when what is desired changes or a container begins or ends, and not with every status; removed with the
 * Pod's directory.
 */
export class PodStore {
  readonly #dir: string;
  readonly #log: Logger;
  readonly #written = new Map<string, string>();

  constructor(podsDir: string, log: Logger) {
    this.#dir = podsDir;
    this.#log = log;
  }

  /** In the background; a failure costs only the offline restart and is logged. */
  save(pod: Pod): void {
    const { resourceVersion: _version, managedFields: _fields, ...metadata } = pod.metadata;
    // After a power cut this is all that tells which programs ran and which are done for good.
    const { phase, initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
    const runs = [...initContainerStatuses, ...containerStatuses].map(({ containerID, state }) => [
      containerID,
      state?.terminated?.exitCode,
    ]);
    const desired = toJsonText({ metadata, spec: pod.spec, phase, runs });
    // A Pod that is going needs no memory of what it should be.
    if (pod.metadata.deletionTimestamp !== undefined || this.#written.get(pod.metadata.uid) === desired) return;
    this.#written.set(pod.metadata.uid, desired);
    this.#write(pod).catch((error: unknown) => this.#log.warn('pod not kept for an offline start', { uid: pod.metadata.uid, error }));
  }

  forget(uid: string): void {
    this.#written.delete(uid);
  }

  async load(): Promise<readonly Pod[]> {
    const uids = await readdir(this.#dir).catch((error: unknown) => {
      if (errnoCode(error) === 'ENOENT') return [];
      throw error;
    });
    const found: Pod[] = [];
    for (const uid of uids) {
      try {
        const pod = fromJsonText(await readFile(join(this.#dir, uid, 'pod.json'), 'utf8')) as Pod;
        if (pod.metadata.uid === uid) found.push(pod);
      } catch (error) {
        // Torn by a power cut, or never written: the API will tell.
        if (errnoCode(error) !== 'ENOENT') this.#log.warn('kept pod not readable', { uid, error });
      }
    }
    return found;
  }

  async #write(pod: Pod): Promise<void> {
    const directory = join(this.#dir, pod.metadata.uid);
    await mkdir(directory, { recursive: true, mode: 0o750 });
    const path = join(directory, 'pod.json');
    await writeFile(`${path}.new`, toJsonText(pod), { mode: 0o600 });
    await rename(`${path}.new`, path);
    // The Pod was removed while this was being written.
    if (!this.#written.has(pod.metadata.uid)) await rm(directory, { recursive: true, force: true });
  }
}
