import { constants } from 'node:os';
import koffi from 'koffi';

/** A system call failed. `errno` is the kernel's number; `code` its name, as Node spells it. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  readonly code: string;
  readonly errno: number;

  constructor(call: string, on: string, errno: number) {
    const code = errnoName(errno);
    super(`${call} ${on}: ${code}`);
    this.code = code;
    this.errno = errno;
  }
}

/**
 * The system calls that Node does not offer. All of them are local and return at once; none may wait for another machine.
 * Each throws {@link SyscallError}. They run on the calling thread, which matters for {@link Syscalls.setns}.
 */
export interface Syscalls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): void;
  listen(fd: number, backlog: number): void;
  /** Starts connecting; a non-blocking socket that is still under way is no error. */
  connect(fd: number, address: Uint8Array): void;
  setSocketOption(fd: number, level: number, option: number, value: Uint8Array): void;
  /** True once a stream socket has a peer. */
  isConnected(fd: number): boolean;
  send(fd: number, bytes: Uint8Array): void;
  /** {@link send} on another thread, for requests that keep the kernel busy for milliseconds. */
  sendAside(fd: number, bytes: Uint8Array): Promise<void>;
  /** Bytes received into `into`. */
  receive(fd: number, into: Uint8Array): number;
  close(fd: number): void;
  /** Moves the calling thread into the namespace behind `fd`. Use `within` from `network-namespace.ts`. */
  setns(fd: number, kind: number): void;
  unshare(kind: number): void;
  mount(source: string, target: string, type: string, flags: number): void;
  unmount(target: string, flags: number): void;
}

/** Binds the C library. Takes about a millisecond; share the result. */
export function openSyscalls(): Syscalls {
  const libc = koffi.load(null);
  // intptr_t stands for ssize_t, a name koffi does not know.
  const c = {
    socket: libc.func('int socket(int, int, int)'),
    bind: libc.func('int bind(int, const uint8_t *, uint32_t)'),
    listen: libc.func('int listen(int, int)'),
    connect: libc.func('int connect(int, const uint8_t *, uint32_t)'),
    setsockopt: libc.func('int setsockopt(int, int, int, const uint8_t *, uint32_t)'),
    getpeername: libc.func('int getpeername(int, uint8_t *, uint8_t *)'),
    send: libc.func('intptr_t send(int, const uint8_t *, size_t, int)'),
    recv: libc.func('intptr_t recv(int, uint8_t *, size_t, int)'),
    close: libc.func('int close(int)'),
    setns: libc.func('int setns(int, int)'),
    unshare: libc.func('int unshare(int)'),
    mount: libc.func('int mount(const char *, const char *, const char *, unsigned long, const void *)'),
    umount2: libc.func('int umount2(const char *, int)'),
  };
  const checked = (result: unknown, call: string, on: string): number => {
    if (typeof result === 'number' && result >= 0) return result;
    throw new SyscallError(call, on, koffi.errno());
  };
  return {
    socket: (family, type, protocol) => checked(c.socket(family, type, protocol), 'socket', `family ${family}`),
    bind: (fd, address) => void checked(c.bind(fd, address, address.length), 'bind', `fd ${fd}`),
    listen: (fd, backlog) => void checked(c.listen(fd, backlog), 'listen', `fd ${fd}`),
    connect(fd, address) {
      if (c.connect(fd, address, address.length) === 0) return;
      const errno = koffi.errno();
      if (errno !== constants.errno.EINPROGRESS) throw new SyscallError('connect', `fd ${fd}`, errno);
    },
    setSocketOption: (fd, level, option, value) =>
      void checked(c.setsockopt(fd, level, option, value, value.length), 'setsockopt', `fd ${fd} option ${level}/${option}`),
    isConnected(fd) {
      const length = new Uint8Array(4);
      length[0] = 128;
      return c.getpeername(fd, new Uint8Array(128), length) === 0;
    },
    send: (fd, bytes) => void checked(c.send(fd, bytes, bytes.length, 0), 'send', `fd ${fd}`),
    sendAside: (fd, bytes) =>
      new Promise((resolve, reject) => {
        // The number of the error belongs to the other thread and is lost.
        c.send.async(fd, bytes, bytes.length, 0, (error: unknown, sent: unknown) => {
          if (error || typeof sent !== 'number' || sent < 0) reject(new SyscallError('send', `fd ${fd}`, constants.errno.EIO));
          else resolve();
        });
      }),
    receive: (fd, into) => checked(c.recv(fd, into, into.length, 0), 'recv', `fd ${fd}`),
    close: (fd) => void checked(c.close(fd), 'close', `fd ${fd}`),
    setns: (fd, kind) => void checked(c.setns(fd, kind), 'setns', `fd ${fd}`),
    unshare: (kind) => void checked(c.unshare(kind), 'unshare', `flags 0x${kind.toString(16)}`),
    mount: (source, target, type, flags) => void checked(c.mount(source, target, type, flags, null), 'mount', `${source} on ${target}`),
    unmount: (target, flags) => void checked(c.umount2(target, flags), 'umount', target),
  };
}

function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
}
