import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Logger, messageOf } from '@dure/foundation';
import type { ImageService } from '@dure/images';

/** One line of an answer. */
type Message =
  | { readonly kind: 'progress' | 'done' | 'error'; readonly text: string }
  | { readonly kind: 'image'; readonly id: string; readonly names: readonly string[]; readonly sizeBytes: number };

/**
 * Lets root on this machine manage the node's images while the agent holds them: HTTP on a socket in the run directory, answers as lines
 * of JSON. `GET /images`, `POST /images/pull?reference=`, `POST /images/import?path=`, `DELETE /images?reference=`.
 */
export async function serveImages(path: string, images: ImageService, changed: () => void, log: Logger): Promise<AsyncDisposable> {
  await rm(path, { force: true });
  const server = createServer((request, response) => void answer(request, response, images, changed, log));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Only root: the directory above it is root's, and the socket follows the umask of its maker.
    server.listen({ path, readableAll: false, writableAll: false }, resolve);
  });
  return { [Symbol.asyncDispose]: () => close(server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  images: ImageService,
  changed: () => void,
  log: Logger,
): Promise<void> {
  const say = (message: Message): void => void response.write(`${JSON.stringify(message)}\n`);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  try {
    await route(request, images, say, gone.signal);
    if (request.method !== 'GET') changed();
  } catch (error) {
    log.debug('image request failed', { method: request.method, error });
    if (!gone.signal.aborted) say({ kind: 'error', text: messageOf(error) });
  }
  response.end();
}

async function route(request: IncomingMessage, images: ImageService, say: (message: Message) => void, signal: AbortSignal): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://agent');
  const reference = url.searchParams.get('reference') ?? '';
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /images':
      for (const { id, tags, digests, sizeBytes } of await images.list())
        say({ kind: 'image', id, names: tags.length > 0 ? tags : digests, sizeBytes });
      return;
    case 'POST /images/pull': {
      let shown = -1;
      const onProgress = ({
        layersDone,
        layersTotal,
        bytesDone,
        bytesTotal,
      }: {
        layersDone: number;
        layersTotal: number;
        bytesDone: number;
        bytesTotal: number;
      }): void => {
        const percent = bytesTotal === 0 ? 0 : Math.floor((bytesDone / bytesTotal) * 10) * 10;
        if (percent === shown) return;
        shown = percent;
        say({
          kind: 'progress',
          text: `${reference}: ${percent} % of ${(bytesTotal / 1e6).toFixed(1)} MB, ${layersDone} of ${layersTotal} layers`,
        });
      };
      const { id } = await images.pull(reference, { signal, onProgress });
      say({ kind: 'done', text: `${reference}: ${id}` });
      return;
    }
    case 'POST /images/import': {
      const names = await images.importArchive(url.searchParams.get('path') ?? '', signal);
      say({ kind: 'done', text: `imported ${names.join(', ')}` });
      return;
    }
    case 'DELETE /images':
      // Forgetting what is not there is no fault for the store, but a person has mistyped.
      if ((await images.status(reference)) === undefined) throw new Error(`image ${reference} is not on this node`);
      await images.remove(reference);
      say({ kind: 'done', text: `removed ${reference}` });
      return;
    default:
      throw new Error(`${request.method} ${url.pathname}: unknown`);
  }
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
