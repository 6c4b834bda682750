export { cacheDirectory, cachedDirectory, cacheKey } from './cache.ts';
export {
  type Architecture,
  type Distribution,
  debianUnavailable,
  downloadClosure,
  hostArchitecture,
  type PackageClosure,
  packageOf,
  prepareRoot,
  type UnpackOptions,
  unpackedClosure,
  unpackPackages,
} from './debian.ts';
export { eventually } from './eventually.ts';
export { helmPath, helmUnavailable } from './helm.ts';
export { diffSnapshots, type HostSnapshot, type SnapshotDiff, type SnapshotOptions, takeHostSnapshot } from './host-snapshot.ts';
export {
  type BuiltBlob,
  type BuiltImage,
  buildImage,
  type FileRecipe,
  type ImageRecipe,
  type LayerRecipe,
  writeDockerArchive,
  writeLayoutArchive,
} from './image-builder.ts';
export { type PushTarget, pushImage, pushIndex } from './image-push.ts';
export { busyboxImage, imagesUnavailable, type RecipeOptions, scratchImage, toolsImage, webImage } from './image-recipes.ts';
export { type IsolationOptions, isIsolated, isolationUnavailable, runIsolated } from './isolation.ts';
export { debianKubectl, kubectlPath, kubectlUnavailable } from './kubectl.ts';
export { Kubectl, type KubectlOptions } from './kubectl-client.ts';
export { freePort } from './ports.ts';
export { type CommandResult, type Exit, findProgram, RunningProcess, runCommand, type StartOptions } from './process.ts';
export { type RegistryOptions, registryUnavailable, startRegistry, type TestRegistry } from './registry.ts';
