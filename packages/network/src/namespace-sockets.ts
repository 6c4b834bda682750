import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { closeSync, openSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';
import { ChunkPool } from './chunk-pool.ts';
import { familyOf, parseAddress } from './ip-address.ts';
import { enter } from './network-namespace.ts';
import { SyscallError, type Syscalls } from './syscalls.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_KEEPALIVE = 9;
const SO_REUSEPORT = 15;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
/** 5 minutes of silence until a peer is asked whether it still lives; an answer costs it nothing. */
const KEEPALIVE_IDLE_S = Uint8Array.of(300 & 0xff, 300 >> 8, 0, 0);
const SOL_IP = 0;
const IP_FREEBIND = 15;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const ON = Uint8Array.of(1, 0, 0, 0);
const BACKLOG = 4096;
const READ_BYTES = 65_536;
/** Below, memory of its own for each chunk costs less than keeping account of it. */
const POOLED_BYTES_MIN = 16_384;
/** 2 MB at most. */
const POOLED_CHUNKS_KEPT = 32;

/** Takes what a connection brought. `release`, where given, is to be called once `chunk` is not needed any more: its memory is used again. */
export type DataHandler = (chunk: Buffer, release?: () => void) => void;

/** A TCP connection that may still be under way. */
export interface OutgoingConnection {
  /** What is written waits for the peer. A failure to connect is an `error` event (ECONNREFUSED and the like) before any data. */
  readonly socket: Socket;
  /** True once the peer has answered. Must not be asked after `socket` was destroyed. */
  isConnected(): boolean;
}

/**
 * Sockets of one network namespace. Each is made by one synchronous call inside it, then handed to Node:
 * Node itself defers `listen` and `connect`, and would do them in the namespace of the process.
 */
export interface NamespaceSockets extends Disposable {
  /** A listening descriptor for `server.listen({ fd })`; what it accepts has no delay and keep-alive set. @throws {SyscallError} Such as EADDRINUSE. */
  listenTcp(address: string, port: number): number;
  /**
   * @param onData Takes what comes in, instead of `data` events: one read buffer serves all such sockets, which halves the cost of small messages.
   * @throws {SyscallError} The kernel refused at once (no route, no free port).
   */
  connectTcp(address: string, port: number, onData?: DataHandler): OutgoingConnection;
  /** A bound UDP socket; not yet listening for events. @throws {SyscallError} Such as EADDRINUSE. */
  bindUdp(address: string, port: number): UdpSocket;
  /** A UDP socket that hears only its peer, and learns from an `error` event that it is gone. @throws {SyscallError} */
  connectUdp(address: string, port: number): UdpSocket;
}

/** @param namespacePath Absent: the namespace of the process. The namespace is held open until disposed, even if the path goes away. */
export function openNamespaceSockets(syscalls: Syscalls, namespacePath?: string): NamespaceSockets {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  let there: number | undefined;
  try {
    there = namespacePath === undefined ? undefined : openSync(namespacePath, 'r');
  } catch (error) {
    closeSync(home);
    throw error;
  }
  const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const chunks = new ChunkPool(READ_BYTES, POOLED_CHUNKS_KEPT);
  const inside = <T>(action: () => T): T => (there === undefined ? action() : enter(syscalls, there, home, action));
  const closeOnError = <T>(fd: number, action: () => T): T => {
    try {
      return action();
    } catch (error) {
      syscalls.close(fd);
      throw error;
    }
  };
  const open = (address: string, type: number): number =>
    inside(() => syscalls.socket(familyOf(address) === 4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const bind = (fd: number, address: string, port: number): void => {
    if (familyOf(address) === 6) syscalls.setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, ON);
    // An external address need not be on this host (yet).
    else syscalls.setSocketOption(fd, SOL_IP, IP_FREEBIND, ON);
    syscalls.bind(fd, socketAddress(address, port));
  };
  return {
    listenTcp(address, port) {
      const fd = open(address, SOCK_STREAM);
      return closeOnError(fd, () => {
        // Reuse of the port lets a new process listen before the old one stops.
        for (const option of [SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE]) syscalls.setSocketOption(fd, SOL_SOCKET, option, ON);
        // Accepted sockets inherit these: no call for each of them.
        syscalls.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, ON);
        syscalls.setSocketOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
        bind(fd, address, port);
        syscalls.listen(fd, BACKLOG);
        return fd;
      });
    },
    connectTcp(address, port, onData) {
      const fd = open(address, SOCK_STREAM);
      closeOnError(fd, () => {
        syscalls.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, ON);
        syscalls.setSocketOption(fd, SOL_SOCKET, SO_KEEPALIVE, ON);
        syscalls.setSocketOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
        syscalls.connect(fd, socketAddress(address, port));
      });
      const options: SocketConstructorOpts & Pick<ConnectOpts, 'onread'> = { fd, allowHalfOpen: true, readable: true, writable: true };
      if (onData) options.onread = { buffer: readBuffer, callback: (length, bytes) => pass(onData, bytes.subarray(0, length), chunks) };
      const socket = new Socket(options);
      return { socket, isConnected: () => syscalls.isConnected(fd) };
    },
    bindUdp(address, port) {
      const fd = open(address, SOCK_DGRAM);
      closeOnError(fd, () => bind(fd, address, port));
      return udpSocket(address, fd);
    },
    connectUdp(address, port) {
      const socket = udpSocket(address, open(address, SOCK_DGRAM));
      // The event of a failure comes later, when nobody has this socket any more.
      const ignore = (): void => {};
      socket.once('error', ignore);
      // At once, since the lookup is; the socket stays in the namespace it was made in.
      socket.connect(port, address);
      if (!isConnectedUdp(socket)) {
        socket.close();
        throw new SyscallError('connect', `${address} port ${port}`, constants.errno.ENETUNREACH);
      }
      socket.off('error', ignore);
      return socket;
    },
    [Symbol.dispose]() {
      closeSync(home);
      if (there !== undefined) closeSync(there);
    },
  };
}

function isConnectedUdp(socket: UdpSocket): boolean {
  try {
    socket.remoteAddress();
    return true;
  } catch {
    return false;
  }
}

/** The next read overwrites `bytes`, and what is handed on may wait to be written. @returns True: go on reading. */
function pass(onData: DataHandler, bytes: Uint8Array, chunks: ChunkPool): boolean {
  if (bytes.length < POOLED_BYTES_MIN) {
    onData(Buffer.from(bytes));
    return true;
  }
  const { chunk, release } = chunks.copy(bytes);
  onData(chunk, release);
  return true;
}

function udpSocket(address: string, fd: number): UdpSocket {
  const family = familyOf(address);
  // Every destination is an address already; Node's own lookup would put each datagram off to a later tick.
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    lookup: (host: string, _options: unknown, done: (error: null, address: string, family: number) => void) => done(null, host, family),
  });
  socket.bind({ fd });
  return socket;
}

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(address: string, port: number): Buffer {
  const bytes = parseAddress(address);
  const encoded = Buffer.alloc(bytes.length === 4 ? 16 : 28);
  encoded.writeUInt16LE(bytes.length === 4 ? AF_INET : AF_INET6, 0);
  encoded.writeUInt16BE(port, 2);
  encoded.set(bytes, bytes.length === 4 ? 4 : 8);
  return encoded;
}
