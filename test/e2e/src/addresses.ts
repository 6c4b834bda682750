/** The machine's own address on the bridge that `up --nodes N` makes. */
export const BRIDGE_ADDRESS = '10.44.0.1';
export const DNS_ADDRESS = '10.43.0.10';

/** Why whole clusters cannot be started here. They change links and routes: never outside namespaces made for them. */
export function clusterUnavailable(): string | undefined {
  return process.env.DURE_ISOLATED === '1' ? undefined : 'not in namespaces of its own: run it with npm test -- "end to end"';
}
