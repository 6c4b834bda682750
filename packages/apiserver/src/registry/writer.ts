import { isDeepStrictEqual } from 'node:util';
import {
  alreadyExists,
  badRequest,
  conflict,
  type FieldError,
  generateNameConflict,
  invalid,
  invalidObject,
  type JsonObject,
  type KubeObject,
  notFound,
  type SchemaBook,
  StatusError,
  validateChangedObject,
  validateChangedStatus,
  validateNewObject,
} from '@dure/api';
import { type Clock, type Random, rfc3339Seconds, uuid } from '@dure/foundation';
import { type Entry, type Revision, RevisionConflictError, type Store } from '@dure/store';
import type { Admission, AdmissionOperation } from '../contract/admission.ts';
import type { DecodedBody } from '../encoding/body.ts';
import { admissionOptions } from './admission-options.ts';
import { cloneObject, fromStorage, readStored, toStored, toWorking, workingOf } from './conversion.ts';
import { planDeletion } from './deletion-plan.ts';
import { durabilityOfUpdate } from './durability.ts';
import { generatedName } from './generated-name.ts';
import type { KindHooks, Rollback } from './kind-hooks.ts';
import { parseResourceVersion } from './list-options.ts';
import { recordUpdate } from './managed-fields.ts';
import { decodeObject } from './object-decoder.ts';
import { finalizersOf, metaOf, metaText, section } from './object-meta.ts';
import { groupResource, type RegistryCall } from './scope.ts';
import { objectKey, storageOf } from './storage-key.ts';
import { decodeStored, encodeStored, StoredObject } from './stored-object.ts';
import type { DeleteOptions, FieldValidation, WriteOptions } from './write-options.ts';

export interface WriterDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly admission: Admission;
  readonly book: SchemaBook;
  /** By `group/resource`. */
  readonly hooks: ReadonlyMap<string, KindHooks>;
}

export interface Written {
  /** In the call's version, with its resourceVersion; not shared with anybody. */
  readonly object: JsonObject;
  readonly created: boolean;
}

/** What a delete came to. `removed` false: it goes on, and `object` shows the state. */
export interface Deleted {
  readonly removed: boolean;
  readonly object: KubeObject;
}

/** Makes the next state of an object from the present one. May run several times. @param old In the call's version; private. */
export type Transform = (old: JsonObject) => JsonObject | Promise<JsonObject>;

export interface UpdateRequest {
  /** The decoded result is checked like any body. */
  readonly transform: Transform;
  /** The object to create where none stands; absent: NotFound. */
  readonly createIfAbsent?: () => JsonObject | Promise<JsonObject>;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  /** Patches without a resourceVersion start again after a lost race; others do so only if the client sent no resourceVersion. */
  readonly retries: boolean;
  /** The transform made managedFields itself. */
  readonly managesFields?: boolean;
  /** Keeps this write from touching other parts: `status` may change only the status. */
  readonly part: 'main' | 'status' | 'any';
  /** Skips the kind's own update validation where the server itself is the writer. */
  readonly trusted?: boolean;
  /** Admission judged the body that asks for this change already. */
  readonly admitted?: boolean;
}

const NAME_TRIES = 8;
/** Each lost race is another's success, so trying costs nobody progress; the request's deadline ends it sooner where many write to one object at several servers. */
const CONFLICT_TRIES = 256;

/** Creates, updates and deletes of stored kinds. One instance serves every kind. */
export class Writer {
  readonly #deps: WriterDeps;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  /** @throws {StatusError} */
  async create(call: RegistryCall, body: DecodedBody, options: WriteOptions): Promise<Written> {
    const object = decodeObject(call, body, options.fieldValidation, this.#deps.book);
    if (metaText(object, 'resourceVersion') !== '') throw badRequest('resourceVersion should not be set on objects to be created');
    return this.#create(call, object, options);
  }

  /** PUT. @throws {StatusError} */
  async update(call: RegistryCall, body: DecodedBody, options: WriteOptions, part: UpdateRequest['part']): Promise<Written> {
    const sent = decodeObject(call, body, options.fieldValidation, this.#deps.book);
    const resourceVersion = metaText(sent, 'resourceVersion');
    const { strategy } = call.kind.definition;
    if (resourceVersion === '' && strategy.unconditionalUpdateAllowed === false) {
      throw this.#invalid(call, call.name, [invalid('metadata.resourceVersion', 0, 'must be specified for an update')]);
    }
    return this.change(call, options, {
      transform: () => cloneObject(sent),
      ...(strategy.createOnUpdateAllowed === true && part === 'main' ? { createIfAbsent: () => cloneObject(sent) } : {}),
      retries: resourceVersion === '' || resourceVersion === '0',
      part,
    });
  }

  /** Any change of one object: reads it, transforms it, writes it if nobody was faster. @throws {StatusError} */
  async change(call: RegistryCall, options: WriteOptions, request: UpdateRequest): Promise<Written> {
    const key = this.#key(call);
    let entry = await this.#deps.store.get(key);
    for (let attempt = 0; attempt < CONFLICT_TRIES; attempt += 1) {
      call.signal.throwIfAborted();
      if (entry === undefined) {
        if (request.createIfAbsent === undefined) throw notFound(groupResource(call), call.name);
        const object = await request.createIfAbsent();
        if (metaText(object, 'uid') !== '')
          throw conflict(
            groupResource(call),
            call.name,
            `Precondition failed: UID in precondition: ${metaText(object, 'uid')}, UID in object meta: `,
          );
        delete metaOf(object).resourceVersion;
        try {
          return await this.#create(call, object, options, request.managesFields);
        } catch (error) {
          if (!(error instanceof StatusError) || error.reason !== 'AlreadyExists') throw error;
          entry = await this.#deps.store.get(key);
          continue;
        }
      }
      const outcome = await this.#tryChange(call, options, request, entry);
      if ('written' in outcome) return outcome.written;
      entry = outcome.winner;
      if (!request.retries) {
        if (entry === undefined) throw notFound(groupResource(call), call.name);
        throw conflict(groupResource(call), call.name);
      }
    }
    throw conflict(groupResource(call), call.name);
  }

  /** @param admitted Admission judged the body that asks for this delete already. @throws {StatusError} */
  async delete(call: RegistryCall, options: DeleteOptions, admitted = false): Promise<Deleted> {
    const { definition } = call.kind;
    const key = this.#key(call);
    let entry = await this.#deps.store.get(key);
    for (let attempt = 0; attempt < CONFLICT_TRIES; attempt += 1) {
      call.signal.throwIfAborted();
      if (entry === undefined) throw notFound(groupResource(call), call.name);
      const old = new StoredObject(key, entry.value, entry.modifiedAt);
      this.#checkPreconditions(call, old.object, options.preconditions);
      const shown = (await readStored(call.kind, old.object as unknown as JsonObject, call.signal)) as unknown as KubeObject;
      if (!admitted) {
        const working = await workingOf(call.kind, old.object, call.signal);
        await this.#admit(call, 'DELETE', undefined, working, options, async () => undefined);
      }
      const plan = planDeletion(definition, decodeStored(entry.value, entry.modifiedAt), options, this.#deps.clock.now());
      if (plan.kind === 'keep') return { removed: false, object: shown };
      if (options.dryRun) return { removed: plan.kind === 'remove', object: shown };
      try {
        if (plan.kind === 'remove') {
          await this.#deps.store.append({ kind: 'delete', key }, entry.modifiedAt, 'durable', call.signal);
          await this.#hooks(call)?.afterDelete?.(old.object);
          return { removed: true, object: shown };
        }
        const value = encodeStored(plan.object);
        const revision = await this.#deps.store.append({ kind: 'put', key, value }, entry.modifiedAt, 'durable', call.signal);
        const object = await readStored(call.kind, decodeStored(value, revision), call.signal);
        return { removed: false, object: object as unknown as KubeObject };
      } catch (error) {
        entry = this.#winnerOf(error);
      }
    }
    throw conflict(groupResource(call), call.name);
  }

  async #create(call: RegistryCall, decoded: JsonObject, options: WriteOptions, managesFields = false): Promise<Written> {
    const object = toWorking(call.kind, decoded);
    const { clock, random, store } = this.#deps;
    const { definition } = call.kind;
    const meta = metaOf(object);
    const now = rfc3339Seconds(clock.now());
    const prefix = metaText(object, 'generateName');
    const generates = metaText(object, 'name') === '' && prefix !== '';
    meta.uid = uuid(random);
    meta.creationTimestamp = now;
    for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'resourceVersion', 'generation'])
      delete meta[field];

    const rollbacks: Rollback[] = [];
    try {
      const finish = async (): Promise<void> => {
        definition.strategy.prepareForCreate?.(object);
        // Asked for anew: admission may have put another one in its place.
        if (generates && metaText(object, 'name') === '') metaOf(object).name = generatedName(prefix, random);
        if (metaText(object, 'name') === '') {
          throw this.#invalid(call, '', [
            { reason: 'FieldValueRequired', field: 'metadata.name', message: 'Required value: name or generateName is required' },
          ]);
        }
        const rollback = await this.#hooks(call)?.beforeCreate?.(object, call, options.dryRun);
        if (rollback !== undefined) rollbacks.push(rollback);
        if (!managesFields) await recordUpdate(this.#deps.book, call, object, undefined, options.fieldManager, now);
        this.#throwInvalid(call, object, validateNewObject(call.kind, object));
      };
      await this.#admit(
        { ...call, name: call.name === '' ? metaText(object, 'name') : call.name },
        'CREATE',
        object,
        undefined,
        options,
        finish,
      );

      for (let attempt = 1; ; attempt += 1) {
        const name = metaText(object, 'name');
        const key = this.#key({ ...call, name });
        if (options.dryRun) {
          if ((await store.get(key)) !== undefined) throw alreadyExists(groupResource(call), name);
          await this.#rollBack(rollbacks);
          return { object: fromStorage(call.kind, object), created: true };
        }
        try {
          const value = encodeStored(await toStored(call.kind, object, call.signal));
          const revision = await store.append({ kind: 'put', key, value }, 0 as Revision, 'durable', call.signal);
          metaOf(object).resourceVersion = String(revision);
          await this.#hooks(call)?.afterCreate?.(object as unknown as KubeObject);
          return { object: fromStorage(call.kind, object), created: true };
        } catch (error) {
          this.#winnerOf(error);
          if (!generates) throw alreadyExists(groupResource(call), name);
          if (attempt === NAME_TRIES) throw generateNameConflict(groupResource(call), name, 1);
          metaOf(object).name = generatedName(prefix, random);
        }
      }
    } catch (error) {
      await this.#rollBack(rollbacks);
      throw error;
    }
  }

  async #tryChange(
    call: RegistryCall,
    options: WriteOptions,
    request: UpdateRequest,
    entry: Entry,
  ): Promise<{ readonly written: Written } | { readonly winner: Entry | undefined }> {
    const { store, clock } = this.#deps;
    const { definition } = call.kind;
    const stored = new StoredObject(entry.key, entry.value, entry.modifiedAt);
    this.#checkPreconditions(call, stored.object, request.preconditions);
    const old = await workingOf(call.kind, stored.object, call.signal);
    const object = toWorking(call.kind, await request.transform(cloneObject(fromStorage(call.kind, old as unknown as JsonObject))));
    this.#checkIdentity(call, object, old);
    this.#inherit(object, old, request.part);

    const rollbacks: Rollback[] = [];
    const now = rfc3339Seconds(clock.now());
    try {
      const finish = async (): Promise<void> => {
        this.#inherit(object, old, request.part);
        if (request.part === 'main') definition.strategy.prepareForUpdate?.(object, old as unknown as JsonObject);
        if (request.part === 'status') definition.strategy.prepareForStatusUpdate?.(object, old as unknown as JsonObject);
        if (request.part !== 'status') {
          const rollback = await this.#hooks(call)?.beforeUpdate?.(object, old, call, options.dryRun);
          if (rollback !== undefined) rollbacks.push(rollback);
        }
        if (request.managesFields !== true) await recordUpdate(this.#deps.book, call, object, old, options.fieldManager, now);
        if (request.trusted === true) return;
        const judge = request.part === 'status' ? validateChangedStatus : validateChangedObject;
        this.#throwInvalid(call, object, judge(call.kind, object, old as unknown as JsonObject));
      };
      if (request.admitted === true) await finish();
      else await this.#admit(call, 'UPDATE', object, old, options, finish);

      const storable = await toStored(call.kind, object, call.signal);
      const value = encodeStored(storable);
      const meta = metaOf(object);
      if (options.dryRun) {
        await this.#rollBack(rollbacks);
        meta.resourceVersion = String(entry.modifiedAt);
        return { written: { object: fromStorage(call.kind, object), created: false } };
      }
      // Nothing changed: no write, no event, the revision stays. What is encrypted with an old key is written again all the same.
      if (
        entry.stale !== true &&
        (Buffer.compare(value, entry.value) === 0 ||
          isDeepStrictEqual(
            { ...storable, metadata: { ...metaOf(storable), resourceVersion: '' } },
            { ...stored.object, metadata: { ...stored.object.metadata, resourceVersion: '' } },
          ))
      ) {
        meta.resourceVersion = String(entry.modifiedAt);
        return { written: { object: fromStorage(call.kind, object), created: false } };
      }
      const gone = this.#isFinished(call, object);
      const next = new StoredObject(entry.key, value, entry.modifiedAt);
      const change = gone ? ({ kind: 'delete', key: entry.key } as const) : ({ kind: 'put', key: entry.key, value } as const);
      const durability = gone ? 'durable' : durabilityOfUpdate(definition, stored, next);
      let revision: Revision;
      try {
        revision = await store.append(change, entry.modifiedAt, durability, call.signal);
      } catch (error) {
        const winner = this.#winnerOf(error);
        await this.#rollBack(rollbacks);
        return { winner };
      }
      meta.resourceVersion = String(revision);
      if (gone) await this.#hooks(call)?.afterDelete?.(stored.object);
      else await this.#hooks(call)?.afterUpdate?.(next.object, stored.object);
      return { written: { object: fromStorage(call.kind, object), created: false } };
    } catch (error) {
      await this.#rollBack(rollbacks);
      throw error;
    }
  }

  /** The last finalizer of an object that is being deleted went: the object goes with it. */
  #isFinished(call: RegistryCall, object: JsonObject): boolean {
    const meta = metaOf(object);
    if (typeof meta.deletionTimestamp !== 'string' || finalizersOf(object).length > 0) return false;
    const { group, resource } = call.kind.definition;
    if (group === '' && resource === 'namespaces') {
      const { finalizers } = section(object, 'spec');
      return !Array.isArray(finalizers) || finalizers.length === 0;
    }
    const grace = meta.deletionGracePeriodSeconds;
    return grace === undefined || grace === null || grace === 0;
  }

  /** A client that names a revision or uid wants to change that very object. */
  #checkIdentity(call: RegistryCall, object: JsonObject, old: KubeObject): void {
    const resourceVersion = parseResourceVersion(metaText(object, 'resourceVersion'));
    if (resourceVersion !== undefined && resourceVersion !== 0 && String(resourceVersion) !== old.metadata.resourceVersion) {
      throw conflict(groupResource(call), call.name);
    }
    const uid = metaText(object, 'uid');
    if (uid !== '' && uid !== old.metadata.uid) {
      throw conflict(
        groupResource(call),
        call.name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
      );
    }
  }

  /** What no update may change, and what this door may not. */
  #inherit(object: JsonObject, old: KubeObject, part: UpdateRequest['part']): void {
    const meta = metaOf(object);
    const before = old.metadata as unknown as JsonObject;
    for (const field of [
      'name',
      'namespace',
      'uid',
      'creationTimestamp',
      'generation',
      'deletionTimestamp',
      'deletionGracePeriodSeconds',
      'generateName',
    ]) {
      const value = before[field];
      if (part === 'any' && (field === 'deletionTimestamp' || field === 'deletionGracePeriodSeconds' || field === 'generation')) continue;
      if (value === undefined) delete meta[field];
      else meta[field] = structuredClone(value);
    }
    meta.resourceVersion = old.metadata.resourceVersion;
    delete meta.selfLink;
    const previous = old as unknown as JsonObject;
    if (part === 'status') {
      for (const field of Object.keys(previous)) {
        if (field !== 'status' && field !== 'metadata') object[field] = structuredClone(previous[field] as JsonObject[string]);
      }
      for (const field of Object.keys(object)) if (field !== 'status' && !(field in previous)) delete object[field];
      for (const field of ['ownerReferences', 'finalizers']) {
        const value = before[field];
        if (value === undefined) delete meta[field];
        else meta[field] = structuredClone(value);
      }
    }
  }

  async #admit(
    call: RegistryCall,
    operation: AdmissionOperation,
    object: JsonObject | undefined,
    oldObject: KubeObject | undefined,
    options: WriteOptions | DeleteOptions,
    between: () => Promise<void>,
  ): Promise<void> {
    const { definition, version } = call.kind;
    const request = {
      operation,
      group: definition.group,
      version: version.name,
      kind: definition.kind,
      resource: definition.resource,
      subresource: call.subresource,
      namespace: call.namespace,
      name: call.name,
      ...(object === undefined ? {} : { object }),
      ...(oldObject === undefined ? {} : { oldObject }),
      options: admissionOptions(operation, options),
      dryRun: options.dryRun,
      user: call.user,
      warn: call.warn,
      annotate: call.annotate,
    };
    await this.#deps.admission.mutate(request, call.signal);
    await between();
    await this.#deps.admission.validate(request, call.signal);
  }

  #checkPreconditions(call: RegistryCall, object: KubeObject, preconditions: DeleteOptions['preconditions']): void {
    const { uid, resourceVersion } = object.metadata;
    if (preconditions?.uid !== undefined && preconditions.uid !== uid) {
      throw conflict(
        groupResource(call),
        call.name,
        `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${uid}`,
      );
    }
    if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
      throw conflict(
        groupResource(call),
        call.name,
        `Precondition failed: ResourceVersion in precondition: ${preconditions.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
      );
    }
  }

  /** What stands there instead, where a write lost a race. @throws the error, where it is another. */
  #winnerOf(error: unknown): Entry | undefined {
    if (error instanceof RevisionConflictError) return error.winner;
    throw error;
  }

  async #rollBack(rollbacks: Rollback[]): Promise<void> {
    for (let rollback = rollbacks.pop(); rollback !== undefined; rollback = rollbacks.pop()) await rollback();
  }

  #hooks(call: RegistryCall): KindHooks | undefined {
    const { group, resource } = call.kind.definition;
    return this.#deps.hooks.get(`${group}/${resource}`);
  }

  #key(call: RegistryCall): string {
    const { group, resource } = storageOf(call.kind.definition);
    return objectKey(group, resource, call.kind.definition.namespaced ? call.namespace : '', call.name);
  }

  #throwInvalid(call: RegistryCall, object: JsonObject, errors: readonly FieldError[]): void {
    if (errors.length > 0) throw this.#invalid(call, metaText(object, 'name'), errors);
  }

  #invalid(call: RegistryCall, name: string, errors: readonly FieldError[]): StatusError {
    const { group, kind } = call.kind.definition;
    return invalidObject({ group, kind }, name, errors);
  }
}

/** For callers that pass an object of their own making through the same door. */
export function bodyOf(value: unknown): DecodedBody {
  return { value, duplicates: [] };
}

/** Options of a write that the server makes by itself. */
export function serverWrite(fieldManager: string, dryRun = false): WriteOptions {
  return { dryRun, fieldManager, fieldValidation: 'Ignore' satisfies FieldValidation, force: false };
}
