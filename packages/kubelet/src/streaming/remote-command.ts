import { messageOf } from '@dure/foundation';
import type { StreamSession } from '@dure/runtime';
import { exitStatus, failureStatus, type RemoteStreams, SUCCESS } from './remote-streams.ts';

/**
 * Joins a client to a session in a container until the session ends or the client leaves, which ends an exec.
 * Pipes hold either side back when the other is slow.
 */
export async function serveRemoteCommand(
  kind: 'exec' | 'attach',
  open: () => Promise<StreamSession>,
  remote: RemoteStreams,
): Promise<void> {
  let session: StreamSession;
  try {
    session = await open();
  } catch (error) {
    await remote.finish(failureStatus(messageOf(error)));
    return;
  }
  const leave = (): void => session.destroy();
  remote.gone.addEventListener('abort', leave, { once: true });
  if (remote.gone.aborted) leave();
  try {
    remote.onResize(({ columns, rows }) => session.resize(columns, rows));
    if (remote.stdin !== undefined && session.stdin !== undefined) {
      remote.stdin.pipe(session.stdin);
      // A program that closes its input early ends nothing else.
      session.stdin.on('error', () => undefined);
    }
    const outputs = [flow(session.stdout, remote.stdout), flow(session.stderr, remote.stderr)];
    const exitCode = await session.exited;
    await Promise.race([Promise.all(outputs), whenGone(remote.gone)]);
    if (!remote.gone.aborted) await remote.finish(kind === 'exec' ? exitStatus(exitCode) : SUCCESS);
  } catch (error) {
    if (!remote.gone.aborted) await remote.finish(failureStatus(messageOf(error)));
  } finally {
    remote.gone.removeEventListener('abort', leave);
    await session[Symbol.asyncDispose]();
  }
}

/** Everything `from` gives into `to`, which stays open; drained where nobody wants it. */
function flow(from: StreamSession['stderr'], to: RemoteStreams['stdout']): Promise<void> {
  if (from === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    from.once('end', resolve);
    from.once('close', resolve);
    from.once('error', () => resolve());
    if (to === undefined) from.resume();
    else from.pipe(to, { end: false });
  });
}

function whenGone(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
