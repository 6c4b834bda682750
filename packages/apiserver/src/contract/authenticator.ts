import type { UserInfo } from './user.ts';

/** The certificate that a client showed in the TLS handshake. */
export interface PeerCertificate {
  /** DER, leaf first, as far as the client sent the chain. */
  readonly chain: readonly Uint8Array[];
  /** The chain ends in one of the authorities that the door trusts, by the system's clock. */
  readonly authorized: boolean;
  /** Why it does not (`CERT_HAS_EXPIRED`, ...). */
  readonly authorizationError?: string;
  /** The chain ends in the authority of front proxies: who shows it says in headers on whose behalf it asks. */
  readonly frontProxy?: boolean;
}

export interface Credentials {
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Every line of a header by itself, by its lower-case name; absent where no lines are known. */
  readonly headerLines?: (name: string) => readonly string[];
  readonly certificate?: PeerCertificate;
  /** Address without port. */
  readonly remoteAddress: string;
  readonly path: string;
}

export interface Authenticated {
  readonly user: UserInfo;
  /** Audiences of the credential that are ours too; absent for credentials without audiences. */
  readonly audiences?: readonly string[];
}

/**
 * Finds out who sends a request. `undefined`: nobody known; the server answers Unauthorized.
 * Whether a request without credentials becomes `system:anonymous` is decided here too, so that no second place can disagree.
 */
export interface Authenticator {
  authenticate(credentials: Credentials, signal: AbortSignal): Promise<Authenticated | undefined>;
  /** For TokenReview. `error` says why a token is not good; never throws for a bad token. */
  reviewToken(
    token: string,
    audiences: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly authenticated?: Authenticated; readonly error?: string }>;
}
