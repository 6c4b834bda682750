import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { familyOf, parseAddress, parseCidr, renderAddress } from './ip-address.ts';
import {
  AF_BRIDGE,
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  type Attribute,
  addressHeader,
  decodeAttributes,
  decodeMessages,
  encodeAttributes,
  encodeMessage,
  linkHeader,
  macBytes,
  NLM_F,
  NLMSG_DONE,
  NLMSG_ERROR,
  neighbourHeader,
  RTM,
  readText,
  routeHeader,
  text,
  u8,
  u16be,
  u32,
} from './netlink-message.ts';
import { within } from './network-namespace.ts';
import type { Syscalls } from './syscalls.ts';

/** The kernel refused a request. `code` is the errno's name, such as `EEXIST`. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly code: string;

  constructor(request: string, errno: number) {
    const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
    super(`${request}: ${code}`);
    this.code = code;
  }
}

/** Marks our routes, so that they can be told from everybody else's. */
export const ROUTE_PROTOCOL = 100;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly isUp: boolean;
}

export interface Route {
  readonly destination: string;
  readonly via?: string;
  /** Absent only for `unreachable`. */
  readonly linkIndex?: number;
  /** `local`: the destination is delivered here. `unreachable`: senders are told that there is no way. */
  readonly type?: 'unicast' | 'local' | 'unreachable';
}

/** How the kernel would send to an address. */
export interface ResolvedRoute {
  readonly linkIndex: number;
  /** Absent: the address is on the link itself. */
  readonly via?: string;
  readonly isLocal: boolean;
}

const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
/** The kernel answers at once; a lost answer must not hang the process for ever. */
const RECEIVE_TIMEOUT_S = 5;
const RECEIVE_BUFFER_BYTES = 1 << 18;

const IFLA = { ADDRESS: 1, IFNAME: 3, MTU: 4, LINKINFO: 18, NET_NS_FD: 28 };
const IFLA_INFO = { KIND: 1, DATA: 2 };
const VETH_INFO_PEER = 1;
const IFLA_VXLAN = { ID: 1, LEARNING: 7, PORT: 15 };
const IFA = { ADDRESS: 1, LOCAL: 2 };
const RTA = { DST: 1, OIF: 4, GATEWAY: 5 };
const NDA = { DST: 1, LLADDR: 2 };
const IFF_UP = 1;
const RTNH_F_ONLINK = 4;
const RT_TABLE = { MAIN: 254, LOCAL: 255 };
const RT_SCOPE = { UNIVERSE: 0, LINK: 253, HOST: 254 };
const RTN = { unicast: 1, local: 2, unreachable: 7 };
const NUD_PERMANENT = 0x80;
const NTF_SELF = 2;

/**
 * Links, addresses, routes and neighbours of one network namespace, each a blocking request and answer of some 20 us.
 * `set` methods make it so whatever was there; `delete` methods do nothing if there is nothing.
 * Every method throws {@link NetlinkError} if the kernel refuses.
 */
export class Netlink implements Disposable {
  readonly #syscalls: Syscalls;
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(RECEIVE_BUFFER_BYTES);
  #sequence = 0;

  private constructor(syscalls: Syscalls, fd: number) {
    this.#syscalls = syscalls;
    this.#fd = fd;
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(RECEIVE_TIMEOUT_S), 0);
    syscalls.setSocketOption(fd, SOL_SOCKET, SO_RCVTIMEO, timeout);
  }

  /** @param namespacePath Absent: the namespace of the calling thread. */
  static open(syscalls: Syscalls, namespacePath?: string): Netlink {
    const open = (): number => syscalls.socket(16, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return new Netlink(syscalls, namespacePath === undefined ? open() : within(syscalls, namespacePath, open));
  }

  [Symbol.dispose](): void {
    this.#syscalls.close(this.#fd);
  }

  /** `undefined` if there is no such link. */
  link(name: string): Link | undefined {
    try {
      const [answer] = this.#request(`get link ${name}`, RTM.GETLINK, 0, linkHeader({}), [[IFLA.IFNAME, text(name)]]);
      return answer && toLink(answer);
    } catch (error) {
      if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined;
      throw error;
    }
  }

  links(): Link[] {
    return this.#dump('list links', RTM.GETLINK, linkHeader({})).map(toLink);
  }

  /** A veth pair, this end up, the peer (down) born inside the namespace at `peer.namespacePath`. @throws {NetlinkError} EEXIST: either name is taken. */
  addVeth(near: { name: string; mac: string; mtu: number }, peer: { name: string; mac: string; namespacePath: string }): void {
    const namespace = openSync(peer.namespacePath, 'r');
    try {
      const peerAttributes = encodeAttributes([
        [IFLA.IFNAME, text(peer.name)],
        [IFLA.ADDRESS, macBytes(peer.mac)],
        [IFLA.MTU, u32(near.mtu)],
        [IFLA.NET_NS_FD, u32(namespace)],
      ]);
      // Down: a veth cannot go up before it has its other end.
      const peerInfo = Buffer.concat([linkHeader({}), peerAttributes]);
      this.#addLink(near, 'veth', [[VETH_INFO_PEER, peerInfo]]);
    } finally {
      closeSync(namespace);
    }
  }

  /** A VXLAN link that learns nothing: every peer is entered by hand. */
  addVxlan(link: { name: string; mac: string; mtu: number }, { id, port }: { id: number; port: number }): void {
    this.#addLink(link, 'vxlan', [
      [IFLA_VXLAN.ID, u32(id)],
      [IFLA_VXLAN.LEARNING, u8(0)],
      [IFLA_VXLAN.PORT, u16be(port)],
    ]);
  }

  #addLink({ name, mac, mtu }: { name: string; mac: string; mtu: number }, kind: string, data: readonly Attribute[]): void {
    this.#request(`add ${kind} ${name}`, RTM.NEWLINK, NLM_F.CREATE | NLM_F.EXCL, linkHeader({ flags: IFF_UP, change: IFF_UP }), [
      [IFLA.IFNAME, text(name)],
      [IFLA.ADDRESS, macBytes(mac)],
      [IFLA.MTU, u32(mtu)],
      [
        IFLA.LINKINFO,
        [
          [IFLA_INFO.KIND, Buffer.from(kind)],
          [IFLA_INFO.DATA, data],
        ],
      ],
    ]);
  }

  setLinkUp(index: number): void {
    this.#request(`set link ${index} up`, RTM.NEWLINK, 0, linkHeader({ index, flags: IFF_UP, change: IFF_UP }), []);
  }

  deleteLink(name: string): void {
    this.#forgiving(['ENODEV'], () => this.#request(`delete link ${name}`, RTM.DELLINK, 0, linkHeader({}), [[IFLA.IFNAME, text(name)]]));
  }

  /**
   * {@link deleteLink} without holding this thread for the 10 ms that the kernel takes.
   * Until it settles this object must be asked nothing else: open one for deletions alone.
   */
  async deleteLinkAside(name: string): Promise<void> {
    this.#sequence += 1;
    const attributes: Attribute[] = [[IFLA.IFNAME, text(name)]];
    await this.#syscalls.sendAside(
      this.#fd,
      encodeMessage(RTM.DELLINK, NLM_F.REQUEST | NLM_F.ACK, this.#sequence, linkHeader({}), attributes),
    );
    this.#forgiving(['ENODEV'], () => this.#answers(`delete link ${name}`));
  }

  /** `address` alone on the link, without a route to neighbours. */
  setHostAddress(linkIndex: number, address: string): void {
    const bytes = parseAddress(address);
    this.#request(
      `set address ${address}`,
      RTM.NEWADDR,
      NLM_F.CREATE | NLM_F.REPLACE,
      addressHeader(familyNumber(bytes), bytes.length * 8, linkIndex),
      [
        [IFA.LOCAL, bytes],
        [IFA.ADDRESS, bytes],
      ],
    );
  }

  /** All addresses of the namespace, with the link that has them. */
  addresses(): { address: string; prefixLength: number; linkIndex: number }[] {
    return this.#dump('list addresses', RTM.GETADDR, addressHeader(AF_UNSPEC, 0, 0)).flatMap((payload) => {
      const attributes = decodeAttributes(payload, 8);
      const bytes = attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS);
      return bytes ? [{ address: renderAddress(bytes), prefixLength: payload.readUInt8(1), linkIndex: payload.readUInt32LE(4) }] : [];
    });
  }

  setRoute(route: Route): void {
    this.#route('set', RTM.NEWROUTE, NLM_F.CREATE | NLM_F.REPLACE, route);
  }

  deleteRoute(route: Route): void {
    this.#forgiving(['ESRCH', 'ENODEV'], () => this.#route('delete', RTM.DELROUTE, 0, route));
  }

  /** How a packet to `address` would leave. `undefined`: no route. */
  resolve(address: string): ResolvedRoute | undefined {
    const bytes = parseAddress(address);
    const header = routeHeader({
      family: familyNumber(bytes),
      prefixLength: bytes.length * 8,
      table: 0,
      protocol: 0,
      scope: 0,
      type: 0,
      flags: 0,
    });
    try {
      const [answer] = this.#request(`resolve ${address}`, RTM.GETROUTE, 0, header, [[RTA.DST, bytes]]);
      if (!answer) return undefined;
      const attributes = decodeAttributes(answer, 12);
      const via = attributes.get(RTA.GATEWAY);
      return {
        linkIndex: attributes.get(RTA.OIF)?.readUInt32LE(0) ?? 0,
        isLocal: answer.readUInt8(7) === RTN.local,
        ...(via && { via: renderAddress(via) }),
      };
    } catch (error) {
      if (error instanceof NetlinkError && ['ENETUNREACH', 'EHOSTUNREACH', 'EINVAL', 'EACCES', 'EAFNOSUPPORT'].includes(error.code))
        return undefined;
      throw error;
    }
  }

  /** The link-layer address of a neighbour, for good: nobody asks for it on the wire. */
  setNeighbour(linkIndex: number, address: string, mac: string): void {
    const bytes = parseAddress(address);
    this.#request(
      `set neighbour ${address}`,
      RTM.NEWNEIGH,
      NLM_F.CREATE | NLM_F.REPLACE,
      neighbourHeader(familyNumber(bytes), linkIndex, NUD_PERMANENT, 0),
      [
        [NDA.DST, bytes],
        [NDA.LLADDR, macBytes(mac)],
      ],
    );
  }

  deleteNeighbour(linkIndex: number, address: string): void {
    const bytes = parseAddress(address);
    this.#forgiving(['ENOENT', 'ENODEV'], () =>
      this.#request(`delete neighbour ${address}`, RTM.DELNEIGH, 0, neighbourHeader(familyNumber(bytes), linkIndex, 0, 0), [
        [NDA.DST, bytes],
      ]),
    );
  }

  neighbours(linkIndex: number): { address: string; mac: string }[] {
    return this.#neighbourDump(AF_UNSPEC, linkIndex);
  }

  /** Where the VXLAN link sends frames for `mac`. */
  setTunnel(linkIndex: number, mac: string, remote: string): void {
    this.#request(
      `set tunnel ${mac} to ${remote}`,
      RTM.NEWNEIGH,
      NLM_F.CREATE | NLM_F.REPLACE,
      neighbourHeader(AF_BRIDGE, linkIndex, NUD_PERMANENT, NTF_SELF),
      [
        [NDA.LLADDR, macBytes(mac)],
        [NDA.DST, parseAddress(remote)],
      ],
    );
  }

  deleteTunnel(linkIndex: number, mac: string, remote: string): void {
    this.#forgiving(['ENOENT', 'ENODEV'], () =>
      this.#request(`delete tunnel ${mac}`, RTM.DELNEIGH, 0, neighbourHeader(AF_BRIDGE, linkIndex, 0, NTF_SELF), [
        [NDA.LLADDR, macBytes(mac)],
        [NDA.DST, parseAddress(remote)],
      ]),
    );
  }

  /** The tunnels of a VXLAN link. */
  tunnels(linkIndex: number): { mac: string; remote: string }[] {
    return this.#neighbourDump(AF_BRIDGE, linkIndex).map(({ address, mac }) => ({ mac, remote: address }));
  }

  #neighbourDump(family: number, linkIndex: number): { address: string; mac: string }[] {
    return this.#dump('list neighbours', RTM.GETNEIGH, neighbourHeader(family, linkIndex, 0, 0)).flatMap((payload) => {
      const attributes = decodeAttributes(payload, 12);
      const address = attributes.get(NDA.DST);
      const mac = attributes.get(NDA.LLADDR);
      if (!address || !mac || payload.readInt32LE(4) !== linkIndex || (payload.readUInt16LE(8) & NUD_PERMANENT) === 0) return [];
      return [{ address: renderAddress(address), mac: renderMac(mac) }];
    });
  }

  #route(verb: string, message: number, flags: number, { destination, via, linkIndex, type = 'unicast' }: Route): void {
    const { base, prefixLength } = parseCidr(destination);
    const header = routeHeader({
      family: familyNumber(base),
      prefixLength,
      table: type === 'local' ? RT_TABLE.LOCAL : RT_TABLE.MAIN,
      protocol: ROUTE_PROTOCOL,
      scope: type === 'local' ? RT_SCOPE.HOST : type === 'unicast' && via === undefined ? RT_SCOPE.LINK : RT_SCOPE.UNIVERSE,
      type: RTN[type],
      // The gateway is reached over the link whatever the other routes say.
      flags: via === undefined ? 0 : RTNH_F_ONLINK,
    });
    const attributes: Attribute[] = [[RTA.DST, base]];
    if (linkIndex !== undefined) attributes.push([RTA.OIF, u32(linkIndex)]);
    if (via !== undefined) attributes.push([RTA.GATEWAY, parseAddress(via)]);
    this.#request(`${verb} route ${destination}${via === undefined ? '' : ` via ${via}`}`, message, flags, header, attributes);
  }

  #forgiving(codes: readonly string[], action: () => unknown): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof NetlinkError && codes.includes(error.code))) throw error;
    }
  }

  #dump(what: string, type: number, fixed: Buffer): Buffer[] {
    return this.#request(what, type, NLM_F.DUMP, fixed, []);
  }

  /** Sends one request and collects its answers until the kernel says that it is done. */
  #request(what: string, type: number, flags: number, fixed: Buffer, attributes: readonly Attribute[]): Buffer[] {
    this.#sequence += 1;
    this.#syscalls.send(this.#fd, encodeMessage(type, NLM_F.REQUEST | NLM_F.ACK | flags, this.#sequence, fixed, attributes));
    return this.#answers(what);
  }

  #answers(what: string): Buffer[] {
    const answers: Buffer[] = [];
    for (;;) {
      const length = this.#syscalls.receive(this.#fd, this.#buffer);
      for (const message of decodeMessages(this.#buffer.subarray(0, length))) {
        // An answer to a request that timed out earlier is nobody's now.
        if (message.sequence !== this.#sequence) continue;
        if (message.type === NLMSG_DONE) return answers;
        if (message.type !== NLMSG_ERROR) {
          answers.push(message.payload);
          continue;
        }
        const errno = -message.payload.readInt32LE(0);
        if (errno !== 0) throw new NetlinkError(what, errno);
        return answers;
      }
    }
  }
}

function toLink(payload: Buffer): Link {
  const attributes = decodeAttributes(payload, 16);
  return {
    index: payload.readInt32LE(4),
    isUp: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    name: readText(attributes.get(IFLA.IFNAME)),
    mac: renderMac(attributes.get(IFLA.ADDRESS) ?? Buffer.alloc(0)),
    mtu: attributes.get(IFLA.MTU)?.readUInt32LE(0) ?? 0,
  };
}

function renderMac(bytes: Buffer): string {
  return bytes.toString('hex').replace(/(..)(?!$)/g, '$1:');
}

function familyNumber(bytes: Uint8Array): number {
  return bytes.length === 4 ? AF_INET : AF_INET6;
}

/** A route's destination for one address. */
export function hostRoute(address: string): string {
  return `${address}/${familyOf(address) === 4 ? 32 : 128}`;
}
