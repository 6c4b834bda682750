import type { Pod } from '@dure/api';
import { ContainerConfigError } from './config-error.ts';

const HOSTNAME_CHARS_MAX = 63;
/** The kernel's limit, which a name with its domain may reach. */
const FQDN_CHARS_MAX = 64;

export interface PodHostname {
  /** What `hostname` prints. */
  readonly hostname: string;
  /** `<hostname>.<subdomain>.<namespace>.svc.<domain>`, where the Pod has a subdomain. */
  readonly fqdn?: string;
}

/** @throws {ContainerConfigError} setHostnameAsFQDN, and the name is longer than the kernel takes. */
export function hostnameOf(pod: Pod, clusterDomain: string, nodeHostname: string): PodHostname {
  const { hostname, subdomain, setHostnameAsFQDN, hostNetwork, hostnameOverride } = pod.spec ?? {};
  if (hostnameOverride !== undefined && hostnameOverride !== '') return { hostname: hostnameOverride };
  if (hostNetwork === true) return { hostname: nodeHostname };
  const short = truncate(hostname !== undefined && hostname !== '' ? hostname : pod.metadata.name);
  if (subdomain === undefined || subdomain === '') return { hostname: short };
  const fqdn = `${short}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}`;
  if (setHostnameAsFQDN !== true) return { hostname: short, fqdn };
  if (fqdn.length > FQDN_CHARS_MAX) {
    throw new ContainerConfigError(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (${FQDN_CHARS_MAX} characters is the max, ${fqdn.length} characters requested)`,
    );
  }
  return { hostname: fqdn, fqdn };
}

/** A hostname ends with neither '-' nor '.'. */
function truncate(name: string): string {
  return name.length <= HOSTNAME_CHARS_MAX ? name : name.slice(0, HOSTNAME_CHARS_MAX).replace(/[-.]+$/, '');
}
