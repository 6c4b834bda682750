import { PemError, splitBundle } from '@dure/pki';
import { FRONT_PROXY_NAMES, REMOTE_HEADERS } from '../authentication/request-header.ts';
import type { BootstrapFacts } from './bootstrap-objects.ts';

const [CLIENTS, PROXIES] = ['client-ca-file', 'requestheader-client-ca-file'] as const;

/** The ConfigMap in which extension API servers find whom to trust. */
export interface ClientAuthorities {
  readonly apiVersion: 'v1';
  readonly kind: 'ConfigMap';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data: Readonly<Record<string, string>>;
}

/** Pure. @param before The data that stand there: their authorities stay, and what cannot be read of them goes. */
export function clientAuthorities(
  { clusterCA, frontProxyCA }: BootstrapFacts,
  before: Readonly<Record<string, string>> = {},
): ClientAuthorities {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'extension-apiserver-authentication', namespace: 'kube-system' },
    data: {
      [CLIENTS]: together(before[CLIENTS], clusterCA),
      [PROXIES]: together(before[PROXIES], frontProxyCA),
      'requestheader-allowed-names': JSON.stringify(FRONT_PROXY_NAMES),
      'requestheader-username-headers': JSON.stringify([REMOTE_HEADERS.user]),
      'requestheader-uid-headers': JSON.stringify([REMOTE_HEADERS.uid]),
      'requestheader-group-headers': JSON.stringify([REMOTE_HEADERS.group]),
      'requestheader-extra-headers-prefix': JSON.stringify([REMOTE_HEADERS.extraPrefix]),
    },
  };
}

function together(before: string | undefined, own: string): string {
  return [...new Set([...readable(before ?? ''), ...splitBundle(own)])].join('');
}

function readable(bundle: string): readonly string[] {
  try {
    return splitBundle(bundle);
  } catch (error) {
    if (error instanceof PemError) return [];
    throw error;
  }
}
