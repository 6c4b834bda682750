import type { Pod } from '@dure/api';
import { FakeClock } from '@dure/foundation/testing';
import { describe, expect, it } from 'vitest';
import { FakeImages, fakeImage } from '../testing/fake-images.ts';
import { ImageManager } from './image-manager.ts';

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
  spec: { containers: [] },
  status: {},
};

function managerOf(images: FakeImages): ImageManager {
  const objects = { secret: async () => undefined, configMap: async () => undefined };
  return new ImageManager({ images, objects, events: { record: () => undefined }, clock: new FakeClock(), hostImage: undefined });
}

describe('images for containers', () => {
  it('shows the digest of the repository that was asked for, of the several that an image came from', async () => {
    const images = new FakeImages();
    const digests = ['other.example/copy@sha256:0123', 'docker.io/library/nginx@sha256:0123'];
    images.present.set('nginx:1', { ...fakeImage('nginx:1'), digests });
    const { imageID } = await managerOf(images).ensure(
      pod,
      { kind: 'regular', spec: { name: 'c', image: 'nginx:1' } },
      new AbortController().signal,
    );
    expect(imageID).toBe('docker.io/library/nginx@sha256:0123');
  });
});
