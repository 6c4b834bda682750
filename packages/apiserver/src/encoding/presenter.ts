import { type JsonObject, joinApiVersion, type KubeObject, type ServedKind, toJsonText } from '@dure/api';
import type { Clock } from '@dure/foundation';
import type { Encodable, Pieces } from '../http/exchange.ts';
import { fromStorage } from '../registry/conversion.ts';
import type { ListResult } from '../registry/reader.ts';
import { deepFreeze, type StoredObject, spliceRevision } from '../registry/stored-object.ts';
import type { WatchItem } from '../registry/watch-items.ts';
import { type Feed, mapped } from '../watch/feed.ts';
import type { EncodingCache } from './encoding-cache.ts';
import { listPieces } from './json-list.ts';
import type { OutputForm } from './media-type.ts';
import type { ProtobufCodec } from './protobuf-codec.ts';
import { columnDefinitions, type IncludeObject, partialMetadata, table, tableRow } from './table.ts';
import { renderYaml } from './yaml-text.ts';

export interface PresenterDeps {
  readonly encodings: EncodingCache;
  readonly protobuf: ProtobufCodec;
  readonly clock: Clock;
}

/** How one request wants objects shown. */
export interface Presentation {
  readonly kind: ServedKind;
  readonly form: OutputForm;
  readonly include: IncludeObject;
}

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';
const NEWLINE = Buffer.from('\n');

/** Turns stored objects, lists and watch items into what goes over the wire, sharing encodings where many want the same. */
export class Presenter {
  readonly #deps: PresenterDeps;

  constructor(deps: PresenterDeps) {
    this.#deps = deps;
  }

  /** One stored object. */
  object(stored: StoredObject, show: Presentation): Encodable {
    if (isPlainJson(show.form)) return { value: () => this.#object(stored, show.kind), bytes: () => this.#json(stored, show.kind) };
    return this.value(this.#object(stored, show.kind), show);
  }

  /** A decoded object of the request's version; transformed if the request asks and the object is of a stored kind. */
  value(object: JsonObject | KubeObject, show: Presentation): Encodable {
    const shown = this.#transformed(object as KubeObject, show);
    return { value: () => deepFreeze(shown), bytes: () => this.#encode(shown, show.form) };
  }

  /** A value that is no object of the kind, such as a Status: never transformed. */
  plain(value: JsonObject, form: OutputForm): Encodable {
    return { value: () => deepFreeze(value), bytes: () => this.#encode(value, form) };
  }

  list(result: ListResult, show: Presentation): Encodable {
    const metadata: JsonObject = {
      resourceVersion: String(result.revision),
      ...(result.continue === '' ? {} : { continue: result.continue }),
      ...(result.remaining === undefined ? {} : { remainingItemCount: result.remaining }),
    };
    const { form } = show;
    const objects = (): KubeObject[] => result.objects.map((stored) => this.#object(stored, show.kind));
    if (!isPlainJson(form)) return this.#listOf(objects(), metadata, show);
    const pieces = (): Pieces =>
      listPieces(
        toJsonText(listObject(show.kind, metadata, [])).slice(0, -2),
        result.objects.map((stored) => (isShownAsStored(show.kind, stored) ? stored : this.#json(stored, show.kind))),
      );
    return {
      value: () => deepFreeze(listObject(show.kind, metadata, objects())),
      bytes: () => Buffer.concat([...pieces()]),
      pieces,
    };
  }

  /** A list of objects that are not stored. */
  values(objects: readonly JsonObject[], show: Presentation): Encodable {
    return this.#listOf(objects as unknown as readonly KubeObject[], {}, show);
  }

  /** Events of one watch. */
  frames(items: Feed<WatchItem>, show: Presentation): Feed<Encodable> {
    let isFirst = true;
    return mapped(items, (item) => {
      const frame = this.#frame(item, show, isFirst);
      isFirst = false;
      return frame;
    });
  }

  #frame(item: WatchItem, show: Presentation, first: boolean): Encodable {
    if (item.type === 'ERROR') return this.#encodedFrame(item.type, item.status as unknown as JsonObject, show.form);
    if (item.type === 'BOOKMARK') {
      const bookmark = this.#bookmark(item.revision, item.initialEventsEnd, show.kind);
      return this.#encodedFrame(item.type, this.#transformed(bookmark as unknown as KubeObject, show, first) as JsonObject, show.form);
    }
    const { object: stored, type } = item;
    if (!isPlainJson(show.form)) {
      return this.#encodedFrame(type, this.#transformed(this.#object(stored, show.kind), show, first) as JsonObject, show.form);
    }
    if (show.kind.version.complete !== undefined && !isShownAsStored(show.kind, stored)) {
      // The schema behind it may change while the stored object does not: nothing to keep.
      return this.#encodedFrame(type, this.#object(stored, show.kind) as unknown as JsonObject, show.form);
    }
    return {
      value: () => Object.freeze({ type, object: this.#object(stored, show.kind) }),
      bytes: () =>
        this.#deps.encodings.get(stored, `${show.kind.definition.group}/${show.kind.version.name} ${type}`, () =>
          Buffer.concat([Buffer.from(`{"type":"${type}","object":`), this.#json(stored, show.kind), Buffer.from('}\n')]),
        ),
    };
  }

  #encodedFrame(type: string, object: JsonObject, form: OutputForm): Encodable {
    return {
      value: () => deepFreeze({ type, object }),
      bytes: () => {
        if (form.format === 'protobuf') return this.#deps.protobuf.encodeFrame(type, object);
        if (form.format === 'yaml') return Buffer.from(`---\n${renderYaml({ type, object })}`);
        return Buffer.concat([Buffer.from(toJsonText({ type, object })), NEWLINE]);
      },
    };
  }

  #bookmark(revision: number, initialEventsEnd: boolean, { definition, version }: ServedKind): JsonObject {
    return {
      kind: definition.kind,
      apiVersion: joinApiVersion(definition.group, version.name),
      metadata: {
        resourceVersion: String(revision),
        creationTimestamp: null,
        ...(initialEventsEnd ? { annotations: { [INITIAL_EVENTS_END]: 'true' } } : {}),
      },
    };
  }

  #transformed(object: KubeObject, { kind, form, include }: Presentation, withColumns = true): JsonObject | KubeObject {
    const asVersion = form.asVersion ?? 'v1';
    if (form.as === 'PartialObjectMetadata') return partialMetadata(object, asVersion);
    if (form.as !== 'Table') return object;
    const { columns } = kind.version;
    const { resourceVersion } = object.metadata;
    const row = tableRow(object, columns, include, asVersion, this.#deps.clock.now());
    return table(resourceVersion === undefined ? {} : { resourceVersion }, withColumns ? columnDefinitions(columns) : [], [row], asVersion);
  }

  #listOf(objects: readonly KubeObject[], metadata: JsonObject, show: Presentation): Encodable {
    const { form, kind, include } = show;
    const { columns } = kind.version;
    const asVersion = form.asVersion ?? 'v1';
    let shown: JsonObject;
    if (form.as === 'Table') {
      const rows = objects.map((object) => tableRow(object, columns, include, asVersion, this.#deps.clock.now()));
      shown = table(metadata, columnDefinitions(columns), rows, asVersion);
    } else if (form.as === 'PartialObjectMetadata') {
      const items = objects.map((object) => partialMetadata(object, asVersion));
      shown = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${asVersion}`, metadata, items };
    } else {
      shown = listObject(kind, metadata, objects);
    }
    return { value: () => deepFreeze(shown), bytes: () => this.#encode(shown, form) };
  }

  #object(stored: StoredObject, kind: ServedKind): KubeObject {
    return fromStorage(kind, stored.object as unknown as JsonObject) as unknown as KubeObject;
  }

  /** JSON without a newline behind it, since lists and events embed it. */
  #json(stored: StoredObject, kind: ServedKind): Uint8Array {
    const { definition, version } = kind;
    if (isShownAsStored(kind, stored)) return spliceRevision(stored.stored, stored.revision);
    if (version.complete !== undefined) return Buffer.from(toJsonText(this.#object(stored, kind)));
    return this.#deps.encodings.get(stored, `${definition.group}/${version.name}`, () =>
      Buffer.from(toJsonText(this.#object(stored, kind))),
    );
  }

  #encode(value: JsonObject | KubeObject, form: OutputForm): Uint8Array {
    switch (form.format) {
      case 'json':
        return Buffer.from(`${form.pretty ? toJsonText(value, 2) : toJsonText(value)}\n`);
      case 'yaml':
        return Buffer.from(renderYaml(value));
      case 'protobuf':
        return this.#deps.protobuf.encode(value as JsonObject);
    }
  }
}

function listObject({ definition, version }: ServedKind, metadata: JsonObject, items: readonly KubeObject[]): JsonObject {
  return {
    kind: definition.listKind,
    apiVersion: joinApiVersion(definition.group, version.name),
    metadata,
    items: items as unknown as JsonObject[],
  };
}

/** True where stored bytes are what clients of this version see. Of custom objects, which may be stored in any version, only reading them tells. */
function isShownAsStored(kind: ServedKind, stored: StoredObject): boolean {
  const { definition, version } = kind;
  if (version.complete === undefined) return version.name === definition.storageVersion && definition.storedAs === undefined;
  const object = stored.object as unknown as JsonObject;
  return fromStorage(kind, object) === object;
}

function isPlainJson(form: OutputForm): boolean {
  return form.format === 'json' && form.as === undefined && !form.pretty;
}
