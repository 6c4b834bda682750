import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { addressAt, type Cidr, cidrSize, renderCidr } from './ip-address.ts';

/** Every address of the node's range is in use. Pods that end give theirs back. */
export class AddressesExhaustedError extends Error {
  override readonly name = 'AddressesExhaustedError';
  readonly code = 'NETWORK_ADDRESSES_EXHAUSTED';

  constructor(cidr: Cidr) {
    super(`lease address: all of ${renderCidr(cidr)} are in use`);
  }
}

/** A port of the node that leads to a sandbox. */
export interface PortMapping {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly hostPort: number;
  readonly containerPort: number;
  /** '' or absent: every address of the node. */
  readonly hostIP?: string;
}

export interface Lease {
  /** Place of the address in the node's range. Unique among leases: links are named after it. */
  readonly offset: number;
  readonly ports: readonly PortMapping[];
}

/** Which sandbox has which address. Survives the death of the process; ends, as the sandboxes do, with the machine. */
export interface AddressLeases {
  get(sandboxId: string): Lease | undefined;
  /** The lease of `sandboxId`, made if absent. The address unused for longest is taken. @throws {AddressesExhaustedError} */
  acquire(sandboxId: string, ports: readonly PortMapping[]): Lease;
  /** Gives the address back; does nothing if there is no lease. */
  release(sandboxId: string): void;
  entries(): readonly (readonly [sandboxId: string, lease: Lease])[];
}

/** The network's own address and the first, which is the services namespace's. */
const RESERVED_FIRST = 2;
/** The last one: some programs still take it for a broadcast address. */
const RESERVED_LAST = 1;

interface State {
  readonly cidr: string;
  /** Offsets from here on were never given out. */
  fresh: number;
  /** Given back, the longest ago first. */
  released: number[];
  leases: Record<string, Lease>;
}

/** Keeps the leases of `cidr` in the file at `path`, written before an address is used. A file of another range is started anew. */
export function openAddressLeases(path: string, cidr: Cidr): AddressLeases {
  const state = load(path, cidr);
  const end = cidrSize(cidr) - RESERVED_LAST;
  const leases = new Map(Object.entries(state.leases));
  const save = (): void => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    state.leases = Object.fromEntries(leases);
    writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  return {
    get: (sandboxId) => leases.get(sandboxId),
    entries: () => [...leases],
    acquire(sandboxId, ports) {
      const known = leases.get(sandboxId);
      if (known) return known;
      let offset: number | undefined;
      if (state.fresh < end) {
        offset = state.fresh;
        state.fresh += 1;
      } else {
        offset = state.released.shift();
      }
      if (offset === undefined) throw new AddressesExhaustedError(cidr);
      const lease: Lease = { offset, ports };
      leases.set(sandboxId, lease);
      save();
      return lease;
    },
    release(sandboxId) {
      const lease = leases.get(sandboxId);
      if (!lease) return;
      leases.delete(sandboxId);
      state.released.push(lease.offset);
      save();
    },
  };
}

/** The address of the node's services namespace: the first usable one of its range. */
export function servicesAddress(cidr: Cidr): string {
  return addressAt(cidr, 1);
}

function load(path: string, cidr: Cidr): State {
  const empty: State = { cidr: renderCidr(cidr), fresh: RESERVED_FIRST, released: [], leases: {} };
  if (!existsSync(path)) return empty;
  const found = JSON.parse(readFileSync(path, 'utf8')) as State;
  return found.cidr === empty.cidr ? found : empty;
}
