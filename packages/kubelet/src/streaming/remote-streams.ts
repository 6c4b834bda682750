import type { Readable, Writable } from 'node:stream';

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** How a remote command ends, as the client is told. @see metav1.Status */
export interface RemoteStatus {
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes: readonly { readonly reason: string; readonly message: string }[] };
  readonly code?: number;
}

/** The client's ends of a remote command, over whatever carries them. Those that were not asked for are absent. */
export interface RemoteStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  onResize(listener: (size: TerminalSize) => void): void;
  /** Tells how it ended and closes; what was written before arrives before. */
  finish(status: RemoteStatus): Promise<void>;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
}

/** What the client asked for in the URL. */
export interface StreamRequest {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export const SUCCESS: RemoteStatus = { metadata: {}, status: 'Success' };

/** A command that ran and failed: clients take the exit code from the cause. */
export function exitStatus(exitCode: number): RemoteStatus {
  if (exitCode === 0) return SUCCESS;
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: error executing command, exit code ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

export function failureStatus(message: string): RemoteStatus {
  return {
    metadata: {},
    status: 'Failure',
    message,
    reason: 'InternalError',
    details: { causes: [{ reason: 'UnknownError', message }] },
    code: 500,
  };
}

/** `{"Width":80,"Height":24}`, as clients write it. */
export function parseTerminalSize(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { readonly Width?: unknown; readonly Height?: unknown };
    if (typeof Width !== 'number' || typeof Height !== 'number') return undefined;
    return { columns: Width, rows: Height };
  } catch {
    return undefined;
  }
}
