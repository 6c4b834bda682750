/** One line of a container's log file: `<RFC 3339 nano> <stdout|stderr> <P|F> <text>`. P: the text goes on in the next line. */
export interface LogLine {
  readonly timestamp: string;
  readonly stream: 'stdout' | 'stderr';
  readonly partial: boolean;
  /** Without the line's end. */
  readonly text: Buffer;
}

const SPACE = 0x20;

/** `undefined`: not a line of this format (torn by a crash). @param line Without its newline. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(SPACE);
  const second = first === -1 ? -1 : line.indexOf(SPACE, first + 1);
  if (second === -1) return undefined;
  const third = line.indexOf(SPACE, second + 1);
  const tagEnd = third === -1 ? line.length : third;
  const stream = line.toString('latin1', first + 1, second);
  const tags = line.toString('latin1', second + 1, tagEnd).split(':');
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  if (tags[0] !== 'P' && tags[0] !== 'F') return undefined;
  return {
    timestamp: line.toString('latin1', 0, first),
    stream,
    partial: tags[0] === 'P',
    text: third === -1 ? Buffer.alloc(0) : line.subarray(third + 1),
  };
}
