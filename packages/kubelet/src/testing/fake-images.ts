import type { ImageConfig, ImageService, ImageStatus, PullOptions } from '@dure/images';

/** Images in memory. A pull finds what `registry` has; everything else is refused. */
export class FakeImages implements ImageService {
  readonly registry = new Map<string, ImageStatus>();
  readonly present = new Map<string, ImageStatus>();
  readonly pulls: { readonly reference: string; readonly credentials: PullOptions['credentials'] }[] = [];
  /** Waited for within each pull. */
  beforePulled: (reference: string, signal: AbortSignal | undefined) => Promise<void> = () => Promise.resolve();

  async pull(reference: string, options: PullOptions = {}): Promise<ImageStatus> {
    this.pulls.push({ reference, credentials: options.credentials });
    await this.beforePulled(reference, options.signal);
    const found = this.registry.get(reference);
    if (found === undefined) throw new Error(`${reference}: not found`);
    this.present.set(reference, found);
    return found;
  }

  async status(reference: string): Promise<ImageStatus | undefined> {
    if (reference.includes(' ')) throw Object.assign(new Error('invalid'), { name: 'InvalidImageNameError' });
    return this.present.get(reference);
  }

  async list(): Promise<readonly ImageStatus[]> {
    return [...this.present.values()];
  }

  async remove(reference: string): Promise<void> {
    this.present.delete(reference);
  }

  async importArchive(): Promise<readonly string[]> {
    return [];
  }

  async usage(): Promise<{ readonly bytes: number; readonly inodes: number }> {
    return { bytes: 0, inodes: 0 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** An image whose program is `/bin/app`. */
export function fakeImage(name: string, config: Partial<ImageConfig> = {}): ImageStatus {
  return {
    id: `sha256:${name}`,
    tags: [name],
    digests: [`${name}@sha256:0123`],
    sizeBytes: 1234,
    config: { entrypoint: ['/bin/app'], cmd: [], env: [], workingDir: '', user: '', exposedPorts: [], volumes: [], labels: {}, ...config },
    architecture: 'amd64',
    lowerDirs: [],
  };
}
