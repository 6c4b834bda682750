import { busyboxImage, pushImage, startRegistry, type TestRegistry, toolsImage, webImage } from '@dure/test-support';
import { BRIDGE_ADDRESS } from './addresses.ts';

/** A registry that nodes of every sort reach, with the images that tests and examples name. */
export async function registryWithImages(): Promise<TestRegistry> {
  const registry = await startRegistry({ address: '0.0.0.0' });
  const [busybox, tools, first, second] = await Promise.all([busyboxImage(), toolsImage(), webImage('1'), webImage('2')]);
  const images = [
    { name: 'library/busybox', tag: '1.37', image: busybox },
    { name: 'library/nginx', tag: '1.29', image: first },
    { name: 'tools', tag: '1', image: tools },
    { name: 'web', tag: '1', image: first },
    { name: 'web', tag: '2', image: second },
  ];
  for (const { name, tag, image } of images) await pushImage(image, { url: registry.url, repository: name, tag });
  return registry;
}

/** What nodes are told: the registry speaks HTTP, and stands in for Docker's, so that examples can be applied as they are. */
export function registriesFor({ port }: TestRegistry, address = BRIDGE_ADDRESS): Record<string, unknown> {
  const host = `${address}:${port}`;
  return { [host]: { plainHttp: true }, 'docker.io': { mirrors: [`http://${host}`] } };
}
