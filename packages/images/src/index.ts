export type { ImageConfig, ImageService, ImageStatus, PullOptions, PullProgress, RegistryCredentials } from './contract.ts';
export {
  DigestMismatchError,
  ImageNotFoundError,
  ImportError,
  InvalidImageNameError,
  LayerRejectedError,
  MalformedImageError,
  PlatformUnavailableError,
  PullError,
  RegistryUnauthorizedError,
} from './errors.ts';
export { type ImageStoreOptions, openImageStore } from './image-store.ts';
export type { LayerLimits } from './layer-unpack.ts';
export { hostPlatform, type Platform } from './platform.ts';
export { type ImageReference, parseReference, renderReference, repositoryOf } from './reference.ts';
export type { RegistriesConfig, RegistryHost } from './registry-hosts.ts';
export type { RetryPolicy } from './retry.ts';
