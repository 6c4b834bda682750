export type { ImageConfig, ImageService, ImageStatus, PullOptions, PullProgress, RegistryCredentials } from './contract.ts';
