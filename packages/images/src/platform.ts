import { arch } from 'node:os';
import { PlatformUnavailableError } from './errors.ts';

/** In the words of image indexes (Go's GOOS and GOARCH). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  /** `v7` of arm, `v8` of arm64. Absent: the architecture's usual one. */
  readonly variant?: string;
}

/** This machine. 32-bit ARM is taken as v7: what Node itself needs. */
export function hostPlatform(): Platform {
  const machine = arch();
  if (machine === 'x64') return { os: 'linux', architecture: 'amd64' };
  if (machine === 'ia32') return { os: 'linux', architecture: '386' };
  if (machine === 'arm') return { os: 'linux', architecture: 'arm', variant: 'v7' };
  if (machine === 'ppc64') return { os: 'linux', architecture: 'ppc64le' };
  return { os: 'linux', architecture: machine };
}

/** `os/architecture[/variant]`. */
export function renderPlatform({ os, architecture, variant }: Platform): string {
  return variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/**
 * The entry of an index that suits `wanted` best: its own architecture and variant, then what it can run besides (older ARM variants,
 * 32-bit code on 64-bit machines). The first of equals wins, and an entry without a platform only if it stands alone.
 * @throws {PlatformUnavailableError} None suits.
 */
export function choosePlatform<T extends { readonly platform: Platform | undefined }>(entries: readonly T[], wanted: Platform): T {
  const [only] = entries;
  if (only !== undefined && entries.length === 1 && only.platform === undefined) return only;
  for (const acceptable of acceptablePlatforms(wanted)) {
    const found = entries.find(({ platform }) => platform !== undefined && samePlatform(platform, acceptable));
    if (found !== undefined) return found;
  }
  throw new PlatformUnavailableError(
    renderPlatform(wanted),
    entries.flatMap(({ platform }) => (platform === undefined || platform.os === 'unknown' ? [] : [renderPlatform(platform)])),
  );
}

/** True if `wanted` runs code built for `built`; an image that does not say its architecture is given the benefit of the doubt. */
export function runsOn(built: Platform, wanted: Platform): boolean {
  if (built.architecture === '') return true;
  return acceptablePlatforms(wanted).some((acceptable) => samePlatform(built, acceptable));
}

/** Best first. */
function acceptablePlatforms(wanted: Platform): readonly Platform[] {
  const { os, architecture } = wanted;
  const arm = (variants: readonly string[]): Platform[] => variants.map((variant) => ({ os, architecture: 'arm', variant }));
  switch (architecture) {
    case 'amd64':
      return [wanted, { os, architecture }, { os, architecture: '386' }];
    case 'arm64':
      return [wanted, { os, architecture, variant: 'v8' }, ...arm(['v8', 'v7', 'v6', 'v5'])];
    case 'arm': {
      const variants = ['v8', 'v7', 'v6', 'v5'];
      return arm(variants.slice(Math.max(variants.indexOf(normalVariant(wanted)), 0)));
    }
    default:
      return [wanted];
  }
}

function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && normalVariant(a) === normalVariant(b);
}

function normalVariant({ architecture, variant }: Platform): string {
  if (variant !== undefined && variant !== '') return variant;
  if (architecture === 'arm64') return 'v8';
  if (architecture === 'arm') return 'v7';
  return architecture === 'amd64' ? 'v1' : '';
}
