import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { errnoCode } from '@dure/foundation';
import { UserFault } from './fault.ts';

/** One line of the agent's answer: progress, a result, or a failure. */
export type AgentMessage =
  | { readonly kind: 'progress'; readonly text: string }
  | { readonly kind: 'image'; readonly id: string; readonly names: readonly string[]; readonly sizeBytes: number }
  | { readonly kind: 'done'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string };

/**
 * Asks the agent of a node on this machine something about its images, over the socket in its run directory: the image store belongs to one
 * process at a time. Yields what it says, line by line. @throws {UserFault} No agent answers there, or it refused.
 */
export async function* askAgent(socketPath: string, method: string, path: string): AsyncGenerator<AgentMessage> {
  const answer = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, method, path }, resolve);
    sent.on('error', (error) => {
      const absent = ['ENOENT', 'ECONNREFUSED'].includes(errnoCode(error) ?? '');
      reject(absent ? new UserFault(`no agent answers at ${socketPath}; is the node up? ("dure status" tells)`) : error);
    });
    sent.end();
  });
  for await (const line of createInterface({ input: answer })) {
    const message = JSON.parse(line) as AgentMessage;
    if (message.kind === 'error') throw new UserFault(message.text);
    yield message;
  }
}
