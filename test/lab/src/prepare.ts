/** Fetches and builds what lab machines boot from; to be run before the lab's namespaces, which have no way to a mirror. */
import { emulator } from './emulator.ts';
import { vmImage } from './vm-image.ts';

const [image, { argv }] = [await vmImage(), await emulator()];
console.log(`lab: image ${image.root}\nlab: emulator ${argv.join(' ')}`);
