import { fileURLToPath } from 'node:url';
import { type BuiltImage, buildImage } from '@dure/test-support';
import { build } from 'esbuild';

const PROGRAMS = ['webhook-server', 'aggregated-server'] as const;

/** An image with Debian's Node.js and the programs beside this file, each as `/srv/NAME.mjs`: what a team that extends its cluster would deploy. */
export async function extensionsImage(): Promise<BuiltImage> {
  const files = await Promise.all(
    PROGRAMS.map(async (name) => {
      const { outputFiles } = await build({
        entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
        bundle: true,
        platform: 'node',
        format: 'esm',
        // What Debian bookworm has.
        target: 'node18',
        write: false,
      });
      const [{ text = '' } = {}] = outputFiles;
      return [`/srv/${name}.mjs`, { kind: 'file', content: text }] as const;
    }),
  );
  return buildImage({
    layers: [{ packages: ['nodejs'] }, { files: Object.fromEntries(files) }],
    config: { entrypoint: ['/usr/bin/node'], env: ['PATH=/usr/bin:/bin'] },
  });
}
