import { type FieldError, internalError, invalid, invalidObject, type Json, type JsonObject, type KubeObject } from '@dure/api';
import type { Clock, Random } from '@dure/foundation';
import type { Store } from '@dure/store';
import type { KindHooks, Rollback } from '../registry/kind-hooks.ts';
import { metaText, section, setOrRemove } from '../registry/object-meta.ts';
import { objectKey, resourcePrefix } from '../registry/storage-key.ts';
import { decodeStored } from '../registry/stored-object.ts';
import { addressClaims } from './address-claims.ts';
import { type ClaimOwner, Claims, plainClaims } from './claims.ts';
import { canonicalAddress, familyOf, type IpFamily, type IpRange, parseIpRange } from './ip-range.ts';

export interface ServiceAllocationOptions {
  /** One range, or two of different families; the first family is what Services get that ask for none. */
  readonly cidrs: readonly string[];
  /** Inclusive. */
  readonly nodePorts: { readonly from: number; readonly to: number };
}

/** Addresses this far into a range are for those who ask for a certain one. @see KEP-3070 */
const STATIC_BAND_MAX = 256;
const RANDOM_TRIES = 32;
const NONE = 'None';

/** Gives Services their cluster IPs and node ports, and takes them back. */
export function serviceHooks(store: Store, clock: Clock, random: Random, options: ServiceAllocationOptions): KindHooks {
  const allocator = new ServiceAllocator(store, clock, random, options);
  return {
    beforeCreate: (object, _call, dryRun) => allocator.allocate(object, undefined, dryRun),
    async beforeUpdate(object, old, _call, dryRun) {
      keepAllocated(object, old);
      return allocator.allocate(object, old as unknown as JsonObject, dryRun);
    },
    afterUpdate: (object, old) => allocator.releaseGone(old as unknown as JsonObject, object as unknown as JsonObject),
    afterDelete: (old) => allocator.releaseGone(old as unknown as JsonObject, undefined),
  };
}

class ServiceAllocator {
  readonly #ranges: readonly IpRange[];
  readonly #nodePorts: ServiceAllocationOptions['nodePorts'];
  readonly #random: Random;
  readonly #addresses: Claims;
  readonly #ports: Claims;

  constructor(store: Store, clock: Clock, random: Random, { cidrs, nodePorts }: ServiceAllocationOptions) {
    this.#ranges = cidrs.map(parseIpRange);
    this.#nodePorts = nodePorts;
    this.#random = random;
    const exists = async ({ namespace, name, uid }: ClaimOwner): Promise<boolean> => {
      const entry = await store.get(objectKey('', 'services', namespace, name));
      return entry !== undefined && metaText(decodeStored(entry.value, entry.modifiedAt), 'uid') === uid;
    };
    const addresses = resourcePrefix('networking.k8s.io', 'ipaddresses');
    this.#addresses = new Claims(store, addresses, addressClaims(random), clock, exists);
    this.#ports = new Claims(store, '/registry/ranges/servicenodeports/', plainClaims, clock, exists);
  }

  /** Completes `service`'s addresses and ports; the result gives back what was newly claimed. @throws {StatusError} Invalid. */
  async allocate(service: JsonObject, old: JsonObject | undefined, dryRun: boolean): Promise<Rollback> {
    const owner = ownerOf(service);
    const undo: Rollback[] = [];
    const rollBack = async (): Promise<void> => {
      for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
    };
    try {
      await this.#allocateAddresses(service, owner, dryRun, undo);
      await this.#allocatePorts(service, old, owner, dryRun, undo);
    } catch (error) {
      await rollBack();
      throw error;
    }
    return rollBack;
  }

  /** Gives back what `old` held and `next` does not. */
  async releaseGone(old: JsonObject, next: JsonObject | undefined): Promise<void> {
    const owner = ownerOf(old);
    const kept = new Set(next === undefined ? [] : addressesOf(next));
    for (const address of addressesOf(old)) if (!kept.has(address)) await this.#addresses.release(address, owner);
    const keptPorts = new Set(next === undefined ? [] : nodePortsOf(next));
    for (const port of nodePortsOf(old)) if (!keptPorts.has(port)) await this.#ports.release(String(port), owner);
  }

  async #allocateAddresses(service: JsonObject, owner: ClaimOwner, dryRun: boolean, undo: Rollback[]): Promise<void> {
    const spec = section(service, 'spec');
    if (spec.type === 'ExternalName') {
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[field];
      return;
    }
    const asked = stringsOf(spec.clusterIPs);
    const single = typeof spec.clusterIP === 'string' ? spec.clusterIP : '';
    if (asked.length === 0 && single !== '') asked.push(single);
    if (single !== '' && asked[0] !== single)
      this.#refuse(service, invalid('spec.clusterIPs[0]', asked[0], 'first value must match `clusterIP`'));
    const families = this.#familiesOf(service, spec, asked);
    spec.ipFamilies = [...families];
    spec.ipFamilyPolicy = spec.ipFamilyPolicy ?? (families.length > 1 ? 'RequireDualStack' : 'SingleStack');
    if (asked[0] === NONE) {
      spec.clusterIP = NONE;
      spec.clusterIPs = [NONE];
      return;
    }
    const addresses: string[] = [];
    for (const [index, family] of families.entries()) {
      const wanted = asked[index];
      addresses.push(
        wanted === undefined || wanted === ''
          ? await this.#anyAddress(service, family, owner, dryRun, undo)
          : await this.#thisAddress(service, canonicalAddress(wanted), asked, owner, dryRun, undo),
      );
    }
    spec.clusterIP = addresses[0] ?? '';
    spec.clusterIPs = addresses;
  }

  /** Which families the Service is to have, in order. */
  #familiesOf(service: JsonObject, spec: JsonObject, asked: readonly string[]): readonly IpFamily[] {
    const available = this.#ranges.map(({ family }) => family);
    const [primary] = available;
    if (primary === undefined) throw internalError(new Error('no range of Service addresses is configured'));
    const policy = spec.ipFamilyPolicy;
    const named = stringsOf(spec.ipFamilies) as IpFamily[];
    const fromAddresses = asked.filter((address) => address !== NONE).map((address) => familyOf(address));
    if (fromAddresses.includes(undefined)) this.#refuse(service, invalid('spec.clusterIPs', asked, 'must be a valid IP address'));
    const families = named.length > 0 ? named : (fromAddresses as IpFamily[]).length > 0 ? (fromAddresses as IpFamily[]) : [primary];
    for (const [index, family] of families.entries()) {
      if (!available.includes(family))
        this.#refuse(service, invalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster'));
    }
    if (policy === 'RequireDualStack' && available.length < 2) {
      this.#refuse(service, invalid('spec.ipFamilyPolicy', policy, 'this cluster is not configured for dual-stack services'));
    }
    if (policy !== 'PreferDualStack' && policy !== 'RequireDualStack') return families.slice(0, Math.max(1, asked.length > 1 ? 2 : 1));
    return [...families, ...available.filter((family) => !families.includes(family))];
  }

  async #thisAddress(
    service: JsonObject,
    address: string,
    asked: readonly string[],
    owner: ClaimOwner,
    dryRun: boolean,
    undo: Rollback[],
  ): Promise<string> {
    const range = this.#ranges.find((candidate) => candidate.family === familyOf(address));
    if (range === undefined || !range.contains(address)) {
      const valid = range?.cidr ?? this.#ranges.map(({ cidr }) => cidr).join(', ');
      this.#refuse(
        service,
        invalid(
          'spec.clusterIPs',
          asked,
          `failed to allocate IP ${address}: the provided IP (${address}) is not in the valid range. The range of valid IPs is ${valid}`,
        ),
      );
    }
    const outcome = await this.#take(this.#addresses, address, owner, dryRun, undo);
    if (!outcome)
      this.#refuse(service, invalid('spec.clusterIPs', asked, `failed to allocate IP ${address}: provided IP is already allocated`));
    return address;
  }

  async #anyAddress(service: JsonObject, family: IpFamily, owner: ClaimOwner, dryRun: boolean, undo: Rollback[]): Promise<string> {
    const range = this.#ranges.find((candidate) => candidate.family === family);
    if (range === undefined || range.size === 0) throw internalError(new Error(`no Service addresses of family ${family}`));
    const band = Math.min(Math.max(16, Math.floor(range.size / 16)), STATIC_BAND_MAX, Math.floor(range.size / 2));
    for (let tries = 0; tries < RANDOM_TRIES; tries += 1) {
      const address = range.at(band + this.#random.integer(range.size - band));
      if (await this.#take(this.#addresses, address, owner, dryRun, undo)) return address;
    }
    // The range is nearly full: look at all of it, the static band last.
    const held = await this.#addresses.held();
    for (let step = 0; step < range.size; step += 1) {
      const address = range.at((band + step) % range.size);
      if (!held.has(address) && (await this.#take(this.#addresses, address, owner, dryRun, undo))) return address;
    }
    this.#refuse(service, invalid('spec.clusterIPs', [], `failed to allocate a serviceIP: range is full`));
  }

  async #allocatePorts(
    service: JsonObject,
    old: JsonObject | undefined,
    owner: ClaimOwner,
    dryRun: boolean,
    undo: Rollback[],
  ): Promise<void> {
    const spec = section(service, 'spec');
    const ports = portsOf(service);
    if (!wantsNodePorts(spec)) {
      for (const port of ports) if (spec.type !== 'LoadBalancer') delete port.nodePort;
    } else {
      const chosen = new Map<string, number>();
      for (const [index, port] of ports.entries()) {
        const wanted = port.nodePort;
        if (typeof wanted === 'number' && wanted !== 0) {
          await this.#thisPort(service, wanted, `spec.ports[${index}].nodePort`, owner, dryRun, undo);
          chosen.set(String(port.port), wanted);
        }
      }
      for (const port of ports) {
        if (typeof port.nodePort === 'number' && port.nodePort !== 0) continue;
        // TCP and UDP of one port number share a node port, as DNS-like Services expect.
        const shared = chosen.get(String(port.port));
        const free = shared !== undefined && !ports.some((other) => other.nodePort === shared && other.protocol === port.protocol);
        const number = free ? shared : await this.#anyPort(service, owner, dryRun, undo);
        port.nodePort = number;
        chosen.set(String(port.port), number);
      }
    }
    const needsCheck = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
    if (!needsCheck) {
      delete spec.healthCheckNodePort;
      return;
    }
    const before = old === undefined ? undefined : section(old, 'spec').healthCheckNodePort;
    const wanted = spec.healthCheckNodePort ?? before;
    if (typeof wanted === 'number' && wanted !== 0) await this.#thisPort(service, wanted, 'spec.healthCheckNodePort', owner, dryRun, undo);
    spec.healthCheckNodePort = typeof wanted === 'number' && wanted !== 0 ? wanted : await this.#anyPort(service, owner, dryRun, undo);
  }

  async #thisPort(service: JsonObject, port: number, field: string, owner: ClaimOwner, dryRun: boolean, undo: Rollback[]): Promise<void> {
    const { from, to } = this.#nodePorts;
    if (port < from || port > to) {
      this.#refuse(service, invalid(field, port, `provided port is not in the valid range. The range of valid ports is ${from}-${to}`));
    }
    if (!(await this.#take(this.#ports, String(port), owner, dryRun, undo)))
      this.#refuse(service, invalid(field, port, 'provided port is already allocated'));
  }

  async #anyPort(service: JsonObject, owner: ClaimOwner, dryRun: boolean, undo: Rollback[]): Promise<number> {
    const { from, to } = this.#nodePorts;
    const size = to - from + 1;
    const own = new Set(nodePortsOf(service));
    for (let tries = 0; tries < RANDOM_TRIES; tries += 1) {
      const port = from + this.#random.integer(size);
      if (!own.has(port) && (await this.#take(this.#ports, String(port), owner, dryRun, undo))) return port;
    }
    const held = await this.#ports.held();
    for (let port = from; port <= to; port += 1) {
      if (!held.has(String(port)) && (await this.#take(this.#ports, String(port), owner, dryRun, undo))) return port;
    }
    throw internalError(new Error('failed to allocate a nodePort: range is full'));
  }

  /** True where `owner` holds `item` now, or could. */
  async #take(claims: Claims, item: string, owner: ClaimOwner, dryRun: boolean, undo: Rollback[]): Promise<boolean> {
    if (dryRun) return claims.isFree(item);
    const outcome = await claims.claim(item, owner);
    if (outcome === 'claimed') undo.push(() => claims.release(item, owner));
    return outcome !== 'taken';
  }

  #refuse(service: JsonObject, error: FieldError): never {
    throw invalidObject({ group: '', kind: 'Service' }, metaText(service, 'name'), [error]);
  }
}

/** What an update leaves out stays as it was allocated. */
function keepAllocated(object: JsonObject, old: KubeObject): void {
  const spec = section(object, 'spec');
  const before = section(old as unknown as JsonObject, 'spec');
  const hadAddress = before.type !== 'ExternalName';
  if (hadAddress && spec.type !== 'ExternalName') {
    if (spec.clusterIP === undefined || spec.clusterIP === '') setOrRemove(spec, 'clusterIP', before.clusterIP);
    if (stringsOf(spec.clusterIPs).length === 0 && spec.clusterIP === before.clusterIP)
      setOrRemove(spec, 'clusterIPs', copyOf(before.clusterIPs));
    if (stringsOf(spec.ipFamilies).length === 0) setOrRemove(spec, 'ipFamilies', copyOf(before.ipFamilies));
    if (spec.ipFamilyPolicy === undefined) setOrRemove(spec, 'ipFamilyPolicy', before.ipFamilyPolicy);
    // Going back to one family gives the second address back.
    if (spec.ipFamilyPolicy === 'SingleStack') {
      for (const field of ['clusterIPs', 'ipFamilies']) {
        const values = stringsOf(spec[field]);
        if (values.length > 1 && before.ipFamilyPolicy !== 'SingleStack') spec[field] = values.slice(0, 1);
      }
    }
  }
  if (!wantsNodePorts(before) || !wantsNodePorts(spec)) return;
  const taken = new Set(nodePortsOf(object));
  for (const port of portsOf(object)) {
    if (typeof port.nodePort === 'number' && port.nodePort !== 0) continue;
    const same = portsOf(old as unknown as JsonObject).find(
      (candidate) => candidate.port === port.port && candidate.protocol === port.protocol,
    );
    const number = same?.nodePort;
    if (typeof number !== 'number' || taken.has(number)) continue;
    port.nodePort = number;
  }
}

function wantsNodePorts(spec: JsonObject): boolean {
  if (spec.type === 'NodePort') return true;
  return spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false;
}

function ownerOf(service: JsonObject): ClaimOwner {
  return { namespace: metaText(service, 'namespace'), name: metaText(service, 'name'), uid: metaText(service, 'uid') };
}

function addressesOf(service: JsonObject): readonly string[] {
  return stringsOf(section(service, 'spec').clusterIPs).filter((address) => address !== NONE);
}

function nodePortsOf(service: JsonObject): readonly number[] {
  const check = section(service, 'spec').healthCheckNodePort;
  return [...portsOf(service).map((port) => port.nodePort), check].filter((port): port is number => typeof port === 'number' && port !== 0);
}

function portsOf(service: JsonObject): JsonObject[] {
  const { ports } = section(service, 'spec');
  return Array.isArray(ports) ? (ports as JsonObject[]) : [];
}

function stringsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function copyOf(value: Json | undefined): Json | undefined {
  return value === undefined ? undefined : structuredClone(value);
}
