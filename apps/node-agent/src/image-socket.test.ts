import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@dure/foundation';
import { FakeImages, fakeImage } from '@dure/kubelet/testing';
import { expect, it } from 'vitest';
import { serveImages } from './image-socket.ts';

function ask(socketPath: string, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, method, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(text));
    });
    asking.on('error', reject).end();
  });
}

it('forgets an image that is here, and says of others that they are not', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dure-image-socket-'));
  const images = new FakeImages();
  images.present.set('app:1', fakeImage('app:1'));
  try {
    await using _server = await serveImages(join(directory, 's'), images, () => undefined, silentLogger);
    expect(await ask(join(directory, 's'), 'DELETE', '/images?reference=app:1')).toContain('removed app:1');
    expect(await ask(join(directory, 's'), 'DELETE', '/images?reference=app:1')).toContain(
      '"error","text":"image app:1 is not on this node"',
    );
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
