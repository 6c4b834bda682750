import { LayerRejectedError } from './errors.ts';

/** What a layer holds at a path. Names are latin1: one character per byte. */
export type LayerNode = DirectoryNode | SymlinkNode | LeafNode;

export interface DirectoryNode {
  readonly kind: 'directory';
  readonly path: string;
  readonly children: Map<string, LayerNode>;
}

export interface SymlinkNode {
  readonly kind: 'symlink';
  readonly path: string;
  readonly target: string;
}

/** `skipped` stands for a device node that was left out, so that links to it are left out as well. */
export interface LeafNode {
  readonly kind: 'file' | 'fifo' | 'whiteout' | 'skipped';
  readonly path: string;
}

/** As many as the kernel follows. */
const SYMLINKS_MAX = 40;
const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4095;

/** Where an entry goes: a directory that is really there, below the layer's root, and a name in it. */
export interface Place {
  readonly parent: DirectoryNode;
  readonly base: string;
  readonly path: string;
}

/**
 * What has been unpacked so far. The tree on disk is ours alone while it grows, so this picture of it is exact, and a path can be
 * followed here component by component, symlinks included, without ever leaving the root.
 */
export class LayerTree {
  readonly root: DirectoryNode = { kind: 'directory', path: '', children: new Map() };

  /**
   * The place of the member `name`. Symlinks above its last component are followed inside the root, as if chrooted.
   * @param makeDirectory Called for each directory above it that is not there yet, outermost first; must add it with {@link put}.
   * @returns `undefined` for the root itself. @throws {LayerRejectedError} The name climbs with `..`, or leads through a file.
   */
  async place(name: string, makeDirectory: (place: Place) => Promise<DirectoryNode>): Promise<Place | undefined> {
    const components = splitName(name);
    const base = components.pop();
    if (base === undefined) return undefined;
    const parent = await this.#descend(components, name, makeDirectory);
    const path = join(parent, base);
    if (path.length > PATH_BYTES_MAX) throw new LayerRejectedError(`path of ${path.length} bytes`);
    return { parent, base, path };
  }

  /** What stands at `name`, its last component not followed; `undefined` if nothing does. */
  async find(name: string): Promise<LayerNode | undefined> {
    const components = splitName(name);
    const base = components.pop();
    if (base === undefined) return this.root;
    const missing = new Error('missing');
    try {
      const parent = await this.#descend(components, name, () => Promise.reject(missing));
      return parent.children.get(base);
    } catch (error) {
      if (error === missing) return undefined;
      throw error;
    }
  }

  put({ parent, base }: Place, node: LayerNode): void {
    parent.children.set(base, node);
  }

  async #descend(components: string[], name: string, makeDirectory: (place: Place) => Promise<DirectoryNode>): Promise<DirectoryNode> {
    const trail: DirectoryNode[] = [this.root];
    const left = components.reverse();
    let followed = 0;
    for (let component = left.pop(); component !== undefined; component = left.pop()) {
      const here = trail.at(-1) ?? this.root;
      if (component === '..') {
        // Only out of a symlink's target; above the root is the root.
        if (trail.length > 1) trail.pop();
        continue;
      }
      const child = here.children.get(component);
      if (child?.kind === 'directory') {
        trail.push(child);
      } else if (child?.kind === 'symlink') {
        followed += 1;
        if (followed > SYMLINKS_MAX) throw new LayerRejectedError(`${show(name)} leads through more than ${SYMLINKS_MAX} symlinks`);
        if (child.target.startsWith('/')) trail.length = 1;
        const target = child.target.split('/').filter((part) => part !== '' && part !== '.');
        if (left.length + target.length > PATH_BYTES_MAX) throw new LayerRejectedError(`${show(name)} leads through symlinks without end`);
        left.push(...target.reverse());
      } else if (child === undefined || child.kind === 'whiteout') {
        trail.push(await makeDirectory({ parent: here, base: component, path: join(here, component) }));
      } else {
        throw new LayerRejectedError(`${show(name)} lies below ${show(child.path)}, which is no directory`);
      }
    }
    return trail.at(-1) ?? this.root;
  }
}

/** A name as people can read it in a message. */
export function show(name: string): string {
  const text = Buffer.from(name, 'latin1').toString('utf8');
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

function splitName(name: string): string[] {
  if (name.includes('\0')) throw new LayerRejectedError(`${show(name)} holds a NUL byte`);
  const components = name.split('/').filter((part) => part !== '' && part !== '.');
  for (const component of components) {
    if (component === '..') throw new LayerRejectedError(`${show(name)} climbs out with ..`);
    if (component.length > NAME_BYTES_MAX) throw new LayerRejectedError(`${show(name)} has a component of ${component.length} bytes`);
  }
  return components;
}

function join(parent: DirectoryNode, base: string): string {
  return parent.path === '' ? base : `${parent.path}/${base}`;
}
