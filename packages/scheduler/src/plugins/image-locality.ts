import type { ScorePlugin } from '../plugin.ts';

const MEGABYTE = 1024 * 1024;
/** Smaller images are pulled so quickly that they should decide nothing. */
const BYTES_MIN = 23 * MEGABYTE;
const BYTES_MAX_PER_CONTAINER = 1000 * MEGABYTE;

/** Prefers nodes that have the Pod's images already, the more so the larger they are and the more nodes have them. */
export const imageLocality: ScorePlugin = {
  name: 'ImageLocality',
  weight: 1,
  normalize: 'keep',
  prepare({ pod }, _cluster, nodes) {
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    const wanted = containers.flatMap(({ image }) => (image === undefined ? [] : [normalized(image)]));
    const spread = new Map(
      wanted.map((image) => [image, nodes.filter((node) => node.images.has(image)).length / Math.max(nodes.length, 1)]),
    );
    if ([...spread.values()].every((share) => share === 0)) return undefined;
    const bytesMax = BYTES_MAX_PER_CONTAINER * containers.length;
    return (node) => {
      // One lonely node with the image must not draw every replica: what few nodes have counts for less.
      const bytes = wanted.reduce((sum, image) => sum + (node.images.get(image) ?? 0) * (spread.get(image) ?? 0), 0);
      return ((Math.min(Math.max(bytes, BYTES_MIN), bytesMax) - BYTES_MIN) / (bytesMax - BYTES_MIN)) * 100;
    };
  },
};

/** Nodes name images with a tag. */
function normalized(image: string): string {
  return /[:@][^/]*$/.test(image) ? image : `${image}:latest`;
}
