/** Fetches and builds what clusters under test need; to be run before their namespaces, which have no way to a mirror. */
import { busyboxImage, helmPath, helmUnavailable, kubectlPath, startRegistry, toolsImage, webImage } from '@dure/test-support';
import { extensionsImage } from './extensions/image.ts';

await Promise.all([extensionsImage(), busyboxImage(), toolsImage(), webImage('1'), webImage('2')]);
if ((await helmUnavailable()) === undefined) await helmPath();
await using registry = await startRegistry();
console.log(`end to end: images are built, ${await kubectlPath()} and a registry (tried at ${registry.host}) are at hand`);
