/** What a machine joins with: a bootstrap token, and the pin of the authority that it must find at the other end. */
export interface JoinToken {
  /** `<id>.<secret>`: sent as a bearer token, once. */
  readonly bearer: string;
  /** `sha256:<hex>` of the authority's public key. */
  readonly caPin: string;
}

/** Reads `dure1.<sha256 hex>.<id>.<secret>`, or `<id>.<secret>` with a pin beside it. `undefined`: neither. */
export function parseJoinToken(token: string, caHash: string | undefined): JoinToken | undefined {
  const combined = /^dure1\.([0-9a-f]{64})\.([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(token);
  if (combined !== null) return { caPin: `sha256:${combined[1]}`, bearer: `${combined[2]}.${combined[3]}` };
  if (!/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(token)) return undefined;
  const pin = /^(?:sha256:)?([0-9a-f]{64})$/.exec(caHash ?? '');
  return pin === null ? undefined : { caPin: `sha256:${pin[1]}`, bearer: token };
}
