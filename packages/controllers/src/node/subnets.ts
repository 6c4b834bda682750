import { type Cidr, maskCidr } from '@dure/api';

/** More nodes than this no cluster has; keeps the search for a free subnet of a /64 from being one through 2^60. */
const SUBNETS_MAX = 65_536;

/** How many subnets of `prefixLength` the network holds. @throws {RangeError} It holds none. */
export function subnetCount(network: Cidr, prefixLength: number): number {
  const bits = network.family === 'IPv4' ? 32 : 128;
  if (prefixLength < network.prefixLength || prefixLength > bits) {
    throw new RangeError(`subnets of /${prefixLength} do not fit into a /${network.prefixLength}`);
  }
  return Math.min(2 ** (prefixLength - network.prefixLength), SUBNETS_MAX);
}

/** @param index From 0. */
export function nthSubnet(network: Cidr, prefixLength: number, index: number): Cidr {
  const { family, value } = maskCidr(network);
  const bits = family === 'IPv4' ? 32 : 128;
  return { family, value: value + (BigInt(index) << BigInt(bits - prefixLength)), prefixLength };
}
