import { getSystemErrorMap } from 'node:util';
import koffi from 'koffi';

/** What unpacking needs of Linux and Node lacks. Paths are bytes, without a closing NUL. Errors are Node's kind, with `code`. */
export interface Syscalls {
  /** Sets an extended attribute, never following a final symlink. */
  lsetxattr(path: Buffer, name: string, value: Buffer): void;
  /** Makes a fifo or a device node. @param mode File type and permission bits, before the umask. */
  mknod(path: Buffer, mode: number, major: number, minor: number): void;
  /** Writes everything of the file system that `fd` lies on to its disk; on a thread of the pool, since it can take long. */
  syncfs(fd: number): Promise<void>;
}

export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** Binds the C library this process runs on. Fast local calls run on the calling thread. */
export function openSyscalls(): Syscalls {
  const libc = koffi.load(null);
  const lsetxattr = libc.func('int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)');
  const mknod = libc.func('int mknod(const uint8_t *path, uint32_t mode, uint64_t device)');
  const syncfs = libc.func('int syncfs(int fd)');
  return {
    lsetxattr(path, name, value) {
      check(lsetxattr(cString(path), name, value, value.length, 0), 'lsetxattr', path);
    },
    mknod(path, mode, major, minor) {
      check(mknod(cString(path), mode, deviceNumber(major, minor)), 'mknod', path);
    },
    syncfs(fd) {
      return new Promise((resolve, reject) => {
        syncfs.async(fd, (error: unknown, result: unknown) => {
          // errno is the pool thread's and lost here; syncfs can only say that the disk failed.
          if (error !== null && error !== undefined) reject(error);
          else if (result !== 0) reject(new Error(`syncfs: the file system could not be written to its disk`));
          else resolve();
        });
      });
    },
  };
}

function check(result: unknown, call: string, path: Buffer): void {
  if (result === 0) return;
  const errno = koffi.errno();
  const [code, description] = getSystemErrorMap().get(-errno) ?? [`ERRNO_${errno}`, 'unknown error'];
  throw Object.assign(new Error(`${code}: ${description}, ${call} '${path.toString('utf8')}'`), { code, errno: -errno, syscall: call });
}

function cString(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.alloc(1)]);
}

/** glibc's and musl's `makedev`. */
function deviceNumber(major: number, minor: number): bigint {
  const high = BigInt(major);
  const low = BigInt(minor);
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}
