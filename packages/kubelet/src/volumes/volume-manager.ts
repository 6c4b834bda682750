import { chmod, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Container, type Pod, toJsonText, type Volume } from '@dure/api';
import type { Client } from '@dure/client';
import { type Clock, isAbort, type Logger, messageOf, type Random } from '@dure/foundation';
import type { MountSpec } from '@dure/runtime';
import { parseEnvFile } from '../config/env-file.ts';
import type { ObjectSource } from '../config/environment.ts';
import { expandReferences } from '../config/expansion.ts';
import type { FieldFacts } from '../config/field-reference.ts';
import { podTotals } from '../config/qos.ts';
import type { ObjectReference } from '../objects/pod-references.ts';
import { containersOf, podKey } from '../pod-identity.ts';
import { bytesOf } from '../resource-amount.ts';
import { type Payload, type ProjectedFile, writeAtomically } from './atomic-writer.ts';
import { setGroupOwnership } from './fs-group.ts';
import { prepareHostPath } from './host-path.ts';
import type { Mounter } from './mounter.ts';
import { cleanPath, configMapFiles, DEFAULT_FILE_MODE, downwardFiles, secretFiles } from './payload.ts';
import { openSubPath } from './sub-path.ts';
import { requestToken, type ServiceAccountToken } from './token-source.ts';
import { VolumeError } from './volume-error.ts';

export interface VolumeManagerOptions {
  readonly client: Client;
  readonly objects: ObjectSource & {
    hold(kind: ObjectReference['kind'], namespace: string, name: string, onChange: () => void): () => void;
  };
  readonly mounter: Mounter;
  /** Unpacked layers of an image, for image volumes; pulls when the policy says so. */
  readonly imageLayers: (pod: Pod, volume: Volume, signal: AbortSignal) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Where emptyDir volumes lie: on the node's disk. */
  readonly podsDir: string;
  /** tmpfs: what comes from Secrets never reaches a disk. */
  readonly memoryDir: string;
  readonly facts: (pod: Pod) => FieldFacts;
}

interface PodVolumes {
  pod: Pod;
  readonly paths: Map<string, string>;
  readonly tokens: Map<string, ServiceAccountToken>;
  readonly release: (() => void)[];
  readonly stop: AbortController;
  /** One change at a time, so that an older rendering never lands after a newer one. */
  tail: Promise<unknown>;
}

const RENDERED = ['configMap', 'secret', 'downwardAPI', 'projected'] as const;
/** After a failed token request or rendering. */
const RETRY_MS = 30_000;

/** Makes the Pods' volumes, keeps what they show up to date, and takes them away. */
export class VolumeManager {
  readonly #options: VolumeManagerOptions;
  readonly #pods = new Map<string, PodVolumes>();

  constructor(options: VolumeManagerOptions) {
    this.#options = options;
  }

  /** Makes the directory for rendered volumes a file system of its own, since /run may forbid executing what lies there. Once per start. */
  async open(): Promise<void> {
    const { memoryDir, mounter, log } = this.#options;
    await mkdir(memoryDir, { recursive: true, mode: 0o755 });
    if ((await mounter.mountsBelow(memoryDir)).includes(memoryDir)) return;
    await mounter.mountTmpfs(memoryDir, { mode: 0o755 }).catch((error: unknown) => {
      log.warn('rendered volumes stay on the file system of the run directory', { path: memoryDir, error });
    });
  }

  /** All volumes of the Pod, made or brought up to date. @throws {VolumeError} The first that cannot be made. */
  async ensure(pod: Pod, signal: AbortSignal): Promise<void> {
    const held = this.#pods.get(pod.metadata.uid) ?? this.#begin(pod);
    held.pod = pod;
    await this.#inTurn(held, async () => {
      const results = await Promise.allSettled((pod.spec?.volumes ?? []).map((volume) => this.#set(held, volume, signal)));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    });
  }

  /** Brings what depends on the Pod's own labels and annotations up to date. Failures are logged and tried again. */
  refresh(pod: Pod): void {
    const held = this.#pods.get(pod.metadata.uid);
    if (held === undefined || held.paths.size === 0) return;
    held.pod = pod;
    if ((pod.spec?.volumes ?? []).some(({ downwardAPI, projected }) => downwardAPI !== undefined || projected !== undefined)) {
      this.#rerender(held, () => true);
    }
  }

  /** Where a volume lies on the node. */
  pathOf(uid: string, volumeName: string): string | undefined {
    return this.#pods.get(uid)?.paths.get(volumeName);
  }

  /** The container's volume mounts. @throws {VolumeError} A subPath leads outside, or its volume does not exist. */
  async mountsFor(pod: Pod, container: Container, env: ReadonlyMap<string, string>): Promise<readonly MountSpec[]> {
    const mounts: MountSpec[] = [];
    for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
      const volume = pod.spec?.volumes?.find(({ name }) => name === mount.name);
      const root = this.pathOf(pod.metadata.uid, mount.name);
      if (volume === undefined || root === undefined)
        throw new VolumeError(mount.name, `cannot find volume "${mount.name}" to mount into container "${container.name}"`);
      const subPath =
        mount.subPathExpr !== undefined && mount.subPathExpr !== ''
          ? this.#expandSubPath(mount.name, mount.subPathExpr, env)
          : mount.subPath;
      const source =
        subPath === undefined || subPath === '' ? root : await this.#bindSubPath(pod, container.name, index, mount.name, root, subPath);
      const readOnly = mount.readOnly === true || isReadOnly(volume);
      mounts.push({
        source,
        target: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
        readOnly,
        ...(readOnly && (mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible')
          ? { recursiveReadOnly: true }
          : {}),
        propagation:
          mount.mountPropagation === 'Bidirectional' ? 'rshared' : mount.mountPropagation === 'HostToContainer' ? 'rslave' : 'private',
      });
    }
    return mounts;
  }

  /** A variable from an env file in a volume; `undefined`: no such file or key. */
  async envFileValue(pod: Pod, volumeName: string, path: string, key: string): Promise<string | undefined> {
    const root = this.pathOf(pod.metadata.uid, volumeName);
    if (root === undefined) return undefined;
    const handle = await openSubPath(root, cleanPath(path), 'refuse').catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      return parseEnvFile(await readFile(`/proc/self/fd/${handle.fd}`, 'utf8')).get(key);
    } finally {
      await handle.close();
    }
  }

  /** Removes everything the Pod's volumes left on the node. May be called for a Pod that a former process served. */
  async tearDown(uid: string): Promise<void> {
    const held = this.#pods.get(uid);
    if (held !== undefined) {
      held.stop.abort();
      for (const release of held.release) release();
      await held.tail.catch(() => undefined);
      this.#pods.delete(uid);
    }
    const { mounter, podsDir, memoryDir } = this.#options;
    for (const root of [join(podsDir, uid), join(memoryDir, uid)]) {
      for (const point of await mounter.mountsBelow(root)) await mounter.unmount(point);
    }
    await rm(join(memoryDir, uid), { recursive: true, force: true });
    await rm(join(podsDir, uid, 'volumes'), { recursive: true, force: true });
  }

  #begin(pod: Pod): PodVolumes {
    const held: PodVolumes = {
      pod,
      paths: new Map(),
      tokens: new Map(),
      release: [],
      stop: new AbortController(),
      tail: Promise.resolve(),
    };
    this.#pods.set(pod.metadata.uid, held);
    const watched = new Set<string>();
    for (const volume of pod.spec?.volumes ?? []) {
      for (const { kind, name } of objectsOf(volume)) {
        if (watched.has(`${kind}/${name}`)) continue;
        watched.add(`${kind}/${name}`);
        const onChange = (): void => this.#rerender(held, (candidate) => objectsOf(candidate).some((object) => object.name === name));
        held.release.push(this.#options.objects.hold(kind, pod.metadata.namespace ?? '', name, onChange));
      }
    }
    return held;
  }

  #inTurn<T>(held: PodVolumes, work: () => Promise<T>): Promise<T> {
    const result = held.tail.catch(() => undefined).then(work);
    held.tail = result.catch(() => undefined);
    return result;
  }

  /** In the background; a failure leaves the volume as it was. */
  #rerender(held: PodVolumes, concerns: (volume: Volume) => boolean): void {
    const { log } = this.#options;
    this.#inTurn(held, async () => {
      if (held.stop.signal.aborted) return;
      for (const volume of held.pod.spec?.volumes ?? []) {
        if (isRendered(volume) && held.paths.has(volume.name) && concerns(volume)) await this.#set(held, volume, held.stop.signal);
      }
    }).catch((error: unknown) => {
      if (!isAbort(error, held.stop.signal)) log.warn('volume not brought up to date', { pod: podKey(held.pod), error });
    });
  }

  async #set(held: PodVolumes, volume: Volume, signal: AbortSignal): Promise<void> {
    try {
      const path = await this.#place(held, volume, signal);
      held.paths.set(volume.name, path);
    } catch (error) {
      if (signal.aborted) throw error;
      if (await this.#useAsItIs(held, volume, error)) return;
      throw new VolumeError(volume.name, messageOf(error), { cause: error });
    }
  }

  /** What a former process rendered serves while the API server is away; it is brought up to date as soon as that is possible. */
  async #useAsItIs(held: PodVolumes, volume: Volume, error: unknown): Promise<boolean> {
    if (!isRendered(volume)) return false;
    const path = this.#renderedPath(held.pod, volume);
    const isThere = await lstat(join(path, '..data')).then(
      () => true,
      () => false,
    );
    if (!isThere) return false;
    const { clock, log } = this.#options;
    const { signal } = held.stop;
    log.warn('volume serves as it was rendered before', { pod: podKey(held.pod), volume: volume.name, error });
    held.paths.set(volume.name, path);
    clock.sleep(RETRY_MS, signal).then(
      () => this.#rerender(held, ({ name }) => name === volume.name),
      () => undefined,
    );
    return true;
  }

  async #place(held: PodVolumes, volume: Volume, signal: AbortSignal): Promise<string> {
    const { pod } = held;
    if (isRendered(volume)) return this.#render(held, volume, signal);
    if (volume.hostPath !== undefined) {
      await prepareHostPath(volume.hostPath);
      return volume.hostPath.path;
    }
    if (volume.emptyDir !== undefined) return this.#emptyDir(held, volume);
    if (volume.image !== undefined) {
      const known = held.paths.get(volume.name);
      if (known !== undefined) return known;
      const layers = await this.#options.imageLayers(pod, volume, signal);
      const target = this.#diskPath(pod, 'image', volume.name);
      await mkdir(target, { recursive: true });
      await this.#options.mounter.unmount(target);
      await this.#options.mounter.mountOverlay(target, layers);
      return target;
    }
    const type = Object.keys(volume).find((key) => key !== 'name') ?? 'none';
    throw new Error(`no volume plugin matched: this node does not support volumes of type ${type}`);
  }

  async #emptyDir(held: PodVolumes, volume: Volume): Promise<string> {
    const known = held.paths.get(volume.name);
    if (known !== undefined) return known;
    const { pod } = held;
    const { mounter, memoryDir } = this.#options;
    const { medium = '', sizeLimit } = volume.emptyDir ?? {};
    const inMemory = medium === 'Memory';
    const path = inMemory ? join(memoryDir, pod.metadata.uid, 'empty-dir', volume.name) : this.#diskPath(pod, 'empty-dir', volume.name);
    // Memory is a tmpfs as the kernel makes them: everybody may write, and remove what is theirs.
    const mode = inMemory ? 0o1777 : 0o777;
    await mkdir(path, { recursive: true, mode });
    if (inMemory && !(await mounter.mountsBelow(path)).includes(path)) {
      const limits = [bytesOf(sizeLimit), podTotals(pod).memoryLimitBytes].filter(
        (bytes): bytes is number => bytes !== undefined && bytes > 0,
      );
      await mounter.mountTmpfs(path, { mode, ...(limits.length === 0 ? {} : { sizeBytes: Math.min(...limits) }) });
    }
    await chmod(path, mode);
    await this.#ownByGroup(pod, path, false);
    return path;
  }

  async #render(held: PodVolumes, volume: Volume, signal: AbortSignal): Promise<string> {
    const { pod } = held;
    const { random } = this.#options;
    const path = this.#renderedPath(pod, volume);
    const payload = await this.#payload(held, volume, signal);
    await mkdir(path, { recursive: true, mode: 0o755 });
    const gid = pod.spec?.securityContext?.fsGroup;
    await writeAtomically(path, payload, random, async (fresh) => {
      if (gid !== undefined) await setGroupOwnership(fresh, Number(gid), { readOnly: true });
    });
    return path;
  }

  async #payload(held: PodVolumes, volume: Volume, signal: AbortSignal): Promise<Payload> {
    const { objects, facts } = this.#options;
    const { pod } = held;
    const namespace = pod.metadata.namespace ?? '';
    if (volume.configMap !== undefined) {
      const { name = '', items, defaultMode, optional } = volume.configMap;
      return new Map(configMapFiles(await objects.configMap(namespace, name), name, { items, defaultMode, optional }));
    }
    if (volume.secret !== undefined) {
      const { secretName = '', items, defaultMode, optional } = volume.secret;
      return new Map(secretFiles(await objects.secret(namespace, secretName), secretName, { items, defaultMode, optional }));
    }
    if (volume.downwardAPI !== undefined) {
      return new Map(downwardFiles(pod, volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode, facts(pod)));
    }
    const defaultMode = volume.projected?.defaultMode ?? DEFAULT_FILE_MODE;
    const parts = await Promise.all(
      (volume.projected?.sources ?? []).map(async (source): Promise<readonly [string, ProjectedFile][]> => {
        if (source.configMap !== undefined) {
          const { name = '', items, optional } = source.configMap;
          return configMapFiles(await objects.configMap(namespace, name), name, { items, defaultMode, optional });
        }
        if (source.secret !== undefined) {
          const { name = '', items, optional } = source.secret;
          return secretFiles(await objects.secret(namespace, name), name, { items, defaultMode, optional });
        }
        if (source.downwardAPI !== undefined) return downwardFiles(pod, source.downwardAPI.items ?? [], defaultMode, facts(pod));
        if (source.serviceAccountToken !== undefined) {
          const { path } = source.serviceAccountToken;
          return [[cleanPath(path), await this.#tokenFile(held, volume, source.serviceAccountToken, defaultMode, signal)]];
        }
        const type = Object.keys(source)[0] ?? 'none';
        throw new Error(`this node does not support projected sources of type ${type}`);
      }),
    );
    return new Map(parts.flat());
  }

  async #tokenFile(
    held: PodVolumes,
    volume: Volume,
    projection: NonNullable<NonNullable<NonNullable<Volume['projected']>['sources']>[number]['serviceAccountToken']>,
    defaultMode: number,
    signal: AbortSignal,
  ): Promise<ProjectedFile> {
    const { client, clock } = this.#options;
    const key = toJsonText([projection.audience ?? '', projection.expirationSeconds ?? 0]);
    let token = held.tokens.get(key);
    if (token === undefined || token.refreshAtMs <= clock.now()) {
      token = await requestToken(client, clock, held.pod, projection, signal);
      const isFirst = !held.tokens.has(key);
      held.tokens.set(key, token);
      if (isFirst) this.#keepFresh(held, volume.name, key);
    }
    const uid = commonUser(held.pod);
    const gid = held.pod.spec?.securityContext?.fsGroup;
    const mode = uid !== undefined || gid !== undefined ? 0o600 : defaultMode;
    return { content: Buffer.from(token.token, 'utf8'), mode, ...(uid === undefined ? {} : { uid }) };
  }

  /** Renders the volume again when its token nears its end, for as long as the Pod has volumes. */
  #keepFresh(held: PodVolumes, volumeName: string, key: string): void {
    const { clock, log } = this.#options;
    const { signal } = held.stop;
    const loop = async (): Promise<void> => {
      for (;;) {
        const refreshAtMs = held.tokens.get(key)?.refreshAtMs ?? 0;
        const dueInMs = refreshAtMs - clock.now();
        await clock.sleep(dueInMs > 0 ? dueInMs : RETRY_MS, signal);
        this.#rerender(held, ({ name }) => name === volumeName);
        await held.tail;
      }
    };
    loop().catch((error: unknown) => {
      if (!isAbort(error, signal)) log.error('token refresh ended', { pod: podKey(held.pod), error });
    });
  }

  async #ownByGroup(pod: Pod, path: string, readOnly: boolean): Promise<void> {
    const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
    if (fsGroup === undefined) return;
    await setGroupOwnership(path, Number(fsGroup), { readOnly, onRootMismatch: fsGroupChangePolicy === 'OnRootMismatch' });
  }

  #expandSubPath(volume: string, expression: string, env: ReadonlyMap<string, string>): string {
    let unknown: string | undefined;
    const path = expandReferences(expression, (name) => {
      const value = env.get(name);
      if (value === undefined) unknown = name;
      return value;
    });
    if (unknown !== undefined) throw new VolumeError(volume, `missing value for "${unknown}"`);
    return path;
  }

  /** Pins the subPath by a bind mount of what was checked; what a container changes afterwards is no longer looked at. */
  async #bindSubPath(pod: Pod, container: string, index: number, volume: string, root: string, subPath: string): Promise<string> {
    const { mounter, memoryDir } = this.#options;
    const target = join(memoryDir, pod.metadata.uid, 'sub-paths', container, String(index));
    try {
      const handle = await openSubPath(root, subPath);
      try {
        await mounter.unmount(target);
        await rm(target, { recursive: true, force: true });
        if ((await handle.stat()).isDirectory()) await mkdir(target, { recursive: true });
        else {
          await mkdir(dirname(target), { recursive: true });
          await writeFile(target, '');
        }
        await mounter.bindDescriptor(handle.fd, target);
        return target;
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw new VolumeError(
        volume,
        `failed to prepare subPath for volumeMount "${volume}" of container "${container}": ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  #renderedPath(pod: Pod, { name }: Volume): string {
    return join(this.#options.memoryDir, pod.metadata.uid, 'rendered', name);
  }

  #diskPath(pod: Pod, kind: string, name: string): string {
    return join(this.#options.podsDir, pod.metadata.uid, 'volumes', kind, name);
  }
}

function isRendered(volume: Volume): boolean {
  return RENDERED.some((key) => volume[key] !== undefined);
}

function isReadOnly(volume: Volume): boolean {
  return isRendered(volume) || volume.image !== undefined;
}

function objectsOf({ configMap, secret, projected }: Volume): readonly ObjectReference[] {
  const sources = projected?.sources ?? [];
  return [
    ...(configMap?.name === undefined ? [] : [{ kind: 'ConfigMap' as const, name: configMap.name }]),
    ...(secret?.secretName === undefined ? [] : [{ kind: 'Secret' as const, name: secret.secretName }]),
    ...sources.flatMap((source) =>
      source.configMap?.name === undefined ? [] : [{ kind: 'ConfigMap' as const, name: source.configMap.name }],
    ),
    ...sources.flatMap((source) => (source.secret?.name === undefined ? [] : [{ kind: 'Secret' as const, name: source.secret.name }])),
  ];
}

/** The uid that every container runs as, if they agree: then a token may be readable by that user alone. */
function commonUser(pod: Pod): number | undefined {
  const uids = new Set(containersOf(pod).map(({ spec }) => spec.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser));
  const [uid] = uids;
  return uids.size === 1 && uid !== undefined ? Number(uid) : undefined;
}
