import { type FileHandle, open } from 'node:fs/promises';

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Where the last `lines` lines of a file begin. Reads from the end, block by block. 0 lines: its end. */
export async function tailOffset(handle: FileHandle, lines: number): Promise<number> {
  const { size } = await handle.stat();
  if (lines <= 0) return size;
  let remaining = lines;
  let end = size;
  const block = Buffer.alloc(BLOCK_BYTES);
  while (end > 0) {
    const begin = Math.max(end - BLOCK_BYTES, 0);
    const { bytesRead } = await handle.read(block, 0, end - begin, begin);
    for (let index = bytesRead - 1; index >= 0; index -= 1) {
      // The newline that ends the file's last line begins no further one.
      if (block[index] !== NEWLINE || begin + index === size - 1) continue;
      remaining -= 1;
      if (remaining === 0) return begin + index + 1;
    }
    end = begin;
  }
  return 0;
}

/** The file's last bytes, at most `bytes`. */
export async function readTail(path: string, bytes: number): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const begin = Math.max(size - bytes, 0);
    const buffer = Buffer.alloc(size - begin);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, begin);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
