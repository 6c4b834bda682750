import type { Pod, Secret } from '@dure/api';
import { formatGoDuration } from '@dure/api';
import { type Clock, isAbort, messageOf, retryDelayMs } from '@dure/foundation';
import { type ImageConfig, type ImageService, type ImageStatus, type PullProgress, parseReference, repositoryOf } from '@dure/images';
import type { ContainerImage } from '../config/container-config.ts';
import type { ObjectSource } from '../config/environment.ts';
import { readImageFile } from '../config/image-user.ts';
import type { PodEvents } from '../pod-events.ts';
import type { NamedContainer } from '../pod-identity.ts';
import { ImageFailure } from './image-error.ts';
import { pullProgressReporter } from './pull-progress.ts';
import { credentialsFor } from './pull-secrets.ts';

export interface ImageManagerOptions {
  readonly images: ImageService;
  readonly objects: ObjectSource;
  readonly events: PodEvents;
  readonly clock: Clock;
  /** What `image: host` hides; `undefined`: this node does not allow it. */
  readonly hostImage: { readonly hide: readonly string[] } | undefined;
}

/** Runs a program of the node's own root file system. */
export const HOST_IMAGE = 'host';

const BACKOFF = { baseMs: 10_000, maxMs: 300_000 };
const EMPTY_CONFIG: ImageConfig = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', exposedPorts: [], volumes: [], labels: {} };
/** Failures remembered; the oldest is forgotten first. */
const FAILURES_MAX = 1000;

interface PullFailures {
  readonly count: number;
  readonly until: number;
  readonly message: string;
}

/** Brings images to containers by their pull policy, with Events and back-off in upstream's words. */
export class ImageManager {
  readonly #options: ImageManagerOptions;
  readonly #failures = new Map<string, PullFailures>();

  constructor(options: ImageManagerOptions) {
    this.#options = options;
  }

  /** @throws {ImageFailure} The image is not at hand. */
  async ensure(pod: Pod, container: NamedContainer, signal: AbortSignal): Promise<ContainerImage> {
    const { image = '', imagePullPolicy } = container.spec;
    if (image === HOST_IMAGE) return this.#hostImage(pod, container);
    return toContainerImage(image, await this.#obtain(pod, image, imagePullPolicy, container, signal));
  }

  /** The unpacked layers of an image that is mounted as a volume. @throws {ImageFailure} */
  async layersOf(pod: Pod, image: string, policy: string | undefined, signal: AbortSignal): Promise<readonly string[]> {
    return (await this.#obtain(pod, image, policy, undefined, signal)).lowerDirs;
  }

  async #obtain(
    pod: Pod,
    image: string,
    givenPolicy: string | undefined,
    container: NamedContainer | undefined,
    signal: AbortSignal,
  ): Promise<ImageStatus> {
    const { events, images, clock } = this.#options;
    const policy = givenPolicy !== undefined && givenPolicy !== '' ? givenPolicy : defaultPolicy(image);
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
      events.record(pod, container, type, reason, message);
    let present: ImageStatus | undefined;
    try {
      present = await images.status(image);
    } catch (error) {
      throw (
        this.#invalidName(error, image, tell) ??
        new ImageFailure('ImageInspectError', `Failed to inspect image "${image}": ${messageOf(error)}`, undefined, { cause: error })
      );
    }
    if (present !== undefined && policy !== 'Always') {
      tell('Normal', 'Pulled', `Container image "${image}" already present on machine`);
      return present;
    }
    if (policy === 'Never') {
      const message = `Container image "${image}" is not present with pull policy of Never`;
      tell('Warning', 'ErrImageNeverPull', message);
      throw new ImageFailure('ErrImageNeverPull', message);
    }
    const key = `${pod.metadata.uid}/${image}`;
    const failed = this.#failures.get(key);
    if (failed !== undefined && failed.until > clock.now()) {
      const message = `Back-off pulling image "${image}"`;
      tell('Normal', 'BackOff', message);
      throw new ImageFailure('ImagePullBackOff', `${message}: ErrImagePull: ${failed.message}`, failed.until);
    }
    return this.#pull(pod, image, key, tell, signal);
  }

  async #pull(
    pod: Pod,
    image: string,
    key: string,
    tell: (type: 'Normal' | 'Warning', reason: string, message: string) => void,
    signal: AbortSignal,
  ): Promise<ImageStatus> {
    const { images, clock } = this.#options;
    const credentials = credentialsFor(image, await this.#secretsOf(pod));
    tell('Normal', 'Pulling', `Pulling image "${image}"`);
    const beganMs = clock.monotonicMs();
    try {
      const report = pullProgressReporter(image, beganMs);
      const onProgress = (progress: PullProgress): void => {
        const message = report(progress, clock.monotonicMs());
        if (message !== undefined) tell('Normal', 'Pulling', message);
      };
      const status = await images.pull(image, { credentials, onProgress, signal });
      const took = formatGoDuration(Math.max(Math.round(clock.monotonicMs() - beganMs), 1));
      tell(
        'Normal',
        'Pulled',
        `Successfully pulled image "${image}" in ${took} (${took} including waiting). Image size: ${status.sizeBytes} bytes.`,
      );
      this.#failures.delete(key);
      return status;
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      const invalid = this.#invalidName(error, image, tell);
      if (invalid !== undefined) throw invalid;
      const message = messageOf(error);
      const count = (this.#failures.get(key)?.count ?? 0) + 1;
      const until = clock.now() + retryDelayMs(count, BACKOFF);
      this.#remember(key, { count, until, message });
      tell('Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
      throw new ImageFailure('ErrImagePull', message, until, { cause: error });
    }
  }

  #remember(key: string, failures: PullFailures): void {
    this.#failures.delete(key);
    this.#failures.set(key, failures);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > FAILURES_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }

  #invalidName(
    error: unknown,
    image: string,
    tell: (type: 'Normal' | 'Warning', reason: string, message: string) => void,
  ): ImageFailure | undefined {
    if (!(error instanceof Error) || error.name !== 'InvalidImageNameError') return undefined;
    const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": invalid reference format`;
    tell('Warning', 'InspectFailed', message);
    return new ImageFailure('InvalidImageName', message, undefined, { cause: error });
  }

  async #secretsOf(pod: Pod): Promise<readonly Secret[]> {
    const { objects, events } = this.#options;
    const names = (pod.spec?.imagePullSecrets ?? []).flatMap(({ name }) => (name === undefined ? [] : [name]));
    const found = await Promise.all(names.map((name) => objects.secret(pod.metadata.namespace ?? '', name).catch(() => undefined)));
    const missing = names.filter((_name, index) => found[index] === undefined);
    if (missing.length > 0) {
      events.record(
        pod,
        undefined,
        'Warning',
        'FailedToRetrieveImagePullSecret',
        `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`,
      );
    }
    return found.filter((secret): secret is Secret => secret !== undefined);
  }

  async #hostImage(pod: Pod, container: NamedContainer): Promise<ContainerImage> {
    const { hostImage, events } = this.#options;
    if (hostImage === undefined) {
      const message = `image "${HOST_IMAGE}" shows the node's own files and is not allowed by this node's configuration`;
      events.record(pod, container, 'Warning', 'Failed', message);
      throw new ImageFailure('ErrImageNeverPull', message);
    }
    events.record(pod, container, 'Normal', 'Pulled', `Container image "${HOST_IMAGE}" is the node's own root file system`);
    return {
      config: EMPTY_CONFIG,
      rootfs: { kind: 'host', hide: hostImage.hide },
      imageID: HOST_IMAGE,
      accounts: await accountsOf(['/']),
    };
  }
}

async function toContainerImage(reference: string, status: ImageStatus): Promise<ContainerImage> {
  return {
    config: status.config,
    rootfs: { kind: 'layers', lowerDirs: status.lowerDirs },
    imageID: imageIdOf(reference, status),
    accounts: await accountsOf(status.lowerDirs),
  };
}

/** An image may be here from several repositories; the one that was asked for is the one to show. */
function imageIdOf(reference: string, { id, digests }: ImageStatus): string {
  const name = reference.replace(/^[0-9a-f]{64}$/, '').replace(/^sha256:.*$/, '');
  const repository = name === '' ? '' : `${repositoryOf(parseReference(name))}@`;
  return digests.find((digest) => digest.startsWith(repository)) ?? digests[0] ?? id;
}

async function accountsOf(lowerDirs: readonly string[]): Promise<ContainerImage['accounts']> {
  const [passwd = '', group = ''] = await Promise.all([readImageFile(lowerDirs, '/etc/passwd'), readImageFile(lowerDirs, '/etc/group')]);
  return { passwd, group };
}

/** What the API's defaulting does; a Pod from an older file may lack it. */
function defaultPolicy(image: string): string {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}
