import { type Draft, isNotFound, type KubeObject, type Pod, type PodTemplateSpec, pods, type ResourceRef, StatusError } from '@dure/api';
import { type Client, type EventRecorder, referenceTo } from '@dure/client';
import { messageOf } from '@dure/foundation';
import type { Expectations } from '@dure/reconcile';
import { controllerReference } from './ownership.ts';

/** The Pod that `template` describes, managed by `owner`. @param name Default: the server picks one from the owner's name. */
export function podFromTemplate(template: PodTemplateSpec, owner: KubeObject, ownerRef: ResourceRef, name?: string): Draft<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  const { namespace } = owner.metadata;
  return {
    metadata: {
      ...(namespace !== undefined && { namespace }),
      ...(name === undefined ? { generateName: `${owner.metadata.name}-` } : { name }),
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
      ...(finalizers !== undefined && { finalizers }),
      ownerReferences: [controllerReference(owner, ownerRef)],
    },
    spec: template.spec,
  };
}

export interface PodControlOptions {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly expectations: Expectations;
  readonly ownerRef: ResourceRef;
}

/** Creates and deletes an owner's Pods, tells it in Events, and keeps the expectations that go with that. */
export class PodControl {
  readonly #options: PodControlOptions;

  constructor(options: PodControlOptions) {
    this.#options = options;
  }

  /** The caller has announced it with `expectCreations`. @throws what the client throws. */
  async create(key: string, owner: KubeObject, draft: Draft<Pod>, signal: AbortSignal): Promise<Pod> {
    const { client, events, expectations, ownerRef } = this.#options;
    try {
      const pod = await client.create<Pod>(pods, draft, {}, signal);
      events.record(referenceTo(owner, ownerRef), 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      return pod;
    } catch (error) {
      expectations.creationDone(key);
      if (!isNamespaceTerminating(error)) {
        events.record(referenceTo(owner, ownerRef), 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      }
      throw error;
    }
  }

  /** A Pod that is gone already counts as deleted. @throws what the client throws otherwise. */
  async delete(key: string, owner: KubeObject, { metadata }: Pod, signal: AbortSignal): Promise<void> {
    const { client, events, expectations, ownerRef } = this.#options;
    expectations.expectDeletion(key, metadata.uid);
    try {
      await client.delete(pods, metadata, { preconditions: { uid: metadata.uid } }, signal);
      events.record(referenceTo(owner, ownerRef), 'Normal', 'SuccessfulDelete', `Deleted pod: ${metadata.name}`);
    } catch (error) {
      expectations.deletionDone(key, metadata.uid);
      if (isNotFound(error)) return;
      events.record(referenceTo(owner, ownerRef), 'Warning', 'FailedDelete', `Error deleting: ${messageOf(error)}`);
      throw error;
    }
  }
}

/** The namespace is going: nothing can be created in it any more, and nobody needs to hear of it. */
export function isNamespaceTerminating(error: unknown): boolean {
  return error instanceof StatusError && (error.status.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating');
}
