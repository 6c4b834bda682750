/** What `dure-run` says about a step that failed. */
export interface NativeFailure {
  /** What was tried, in words. */
  readonly step: string;
  /** The file or value it was about. */
  readonly subject?: string;
  /** 0 where no system call failed. */
  readonly errno: number;
  /** strerror's text. */
  readonly error?: string;
}

/** Reads the report of a failure. What is no report becomes one. */
export function parseNativeFailure(bytes: Uint8Array): NativeFailure {
  const text = Buffer.from(bytes).toString('latin1');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'step' in value && typeof value.step === 'string') {
      const fields = value as { step: string; subject?: unknown; errno?: unknown; error?: unknown };
      return {
        step: fields.step,
        ...(typeof fields.subject === 'string' ? { subject: Buffer.from(fields.subject, 'latin1').toString() } : {}),
        errno: typeof fields.errno === 'number' ? fields.errno : 0,
        ...(typeof fields.error === 'string' ? { error: fields.error } : {}),
      };
    }
  } catch {
    // Told below.
  }
  return { step: 'unreadable report of a failure', subject: text.slice(0, 200), errno: 0 };
}
