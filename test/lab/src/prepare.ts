/** Fetches and builds what lab machines and their clusters need; to be run before the lab's namespaces, which have no way to a mirror. */
import { busyboxImage, kubectlPath, startRegistry } from '@dure/test-support';
import { emulator } from './emulator.ts';
import { vmImage } from './vm-image.ts';

const [image, { argv }, kubectl] = await Promise.all([vmImage(), emulator(), kubectlPath(), busyboxImage()]);
await using registry = await startRegistry();
console.log(
  `lab: image ${image.root}\nlab: emulator ${argv.join(' ')}\nlab: ${kubectl} and a registry (tried at ${registry.host}) are at hand`,
);
