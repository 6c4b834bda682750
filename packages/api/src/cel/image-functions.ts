/** References to images: `image('registry.k8s.io/pause:3.10').registry()`. @see https://pkg.go.dev/github.com/google/go-containerregistry/pkg/name#ParseReference */
import { CelEvaluationError } from './cel-error.ts';
import { BOOL, STRING } from './cel-type.ts';
import { type CelValue, IMAGE, Opaque, type OpaqueContent } from './cel-value.ts';
import { define, method, type Overload } from './overload.ts';

type Image = Extract<OpaqueContent, { kind: 'image' }>;

const DEFAULT_REGISTRY = 'index.docker.io';
const DEFAULT_TAG = 'latest';
/** Longer text is no reference. */
const TEXT_LENGTH_MAX = 1024;

/** `undefined`: it is no reference. A tag beside a digest says nothing and is dropped. */
function parsedImage(text: string): Image | undefined {
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  const at = text.indexOf('@');
  const digest = at < 0 ? '' : text.slice(at + 1);
  if (at >= 0 && !/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined;
  const base = at < 0 ? text : text.slice(0, at);
  const colon = base.lastIndexOf(':');
  const hasTag = colon >= 0 && !base.slice(colon).includes('/');
  const tag = hasTag ? base.slice(colon + 1) : DEFAULT_TAG;
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(tag)) return undefined;
  const name = hasTag ? base.slice(0, colon) : base;
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasRegistry = /[.:]/.test(first) || first === 'localhost';
  const registry = hasRegistry ? first : DEFAULT_REGISTRY;
  const path = hasRegistry ? name.slice(slash + 1) : name;
  if (path.length < 2 || path.length > 255 || !/^[a-z0-9_.-]+(?:\/[a-z0-9_.-]+)*$/.test(path)) return undefined;
  if (!/^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/.test(registry)) return undefined;
  const repository = registry === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path;
  return { kind: 'image', registry, repository, tag: digest === '' ? tag : '', digest };
}

function imageIn(value: CelValue): Image {
  if (!(value instanceof Opaque) || value.content.kind !== 'image') throw new CelEvaluationError('no such overload');
  return value.content;
}

export const imageFunctions: readonly Overload[] = [
  define<[string]>('isImage', [STRING], BOOL, ([text], budget) => budget.pay(text.length * 0.1, parsedImage(text) !== undefined)),
  define<[string]>('image', [STRING], IMAGE, ([text], budget) => {
    const image = budget.pay(text.length * 0.1, parsedImage(text));
    if (image === undefined) throw new CelEvaluationError(`could not parse reference: ${text.slice(0, TEXT_LENGTH_MAX)}`);
    return new Opaque(image);
  }),
  method<[CelValue]>('containsDigest', [IMAGE], BOOL, ([value]) => imageIn(value).digest !== ''),
  method<[CelValue]>('registry', [IMAGE], STRING, ([value]) => imageIn(value).registry),
  method<[CelValue]>('repository', [IMAGE], STRING, ([value]) => imageIn(value).repository),
  method<[CelValue]>('tag', [IMAGE], STRING, ([value]) => imageIn(value).tag),
  method<[CelValue]>('digest', [IMAGE], STRING, ([value]) => imageIn(value).digest),
  method<[CelValue]>('identifier', [IMAGE], STRING, ([value]) => {
    const { tag, digest } = imageIn(value);
    return digest === '' ? tag : digest;
  }),
];
