import type { Pod } from '@dure/api';
import type { EventRecorder } from '@dure/client';
import { containerFieldPath, type NamedContainer } from './pod-identity.ts';

/** Events about Pods and their containers. Never blocks and never throws. */
export interface PodEvents {
  record(pod: Pod, container: NamedContainer | undefined, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export function podEvents(recorder: EventRecorder): PodEvents {
  return {
    record(pod, container, type, reason, message) {
      const { name, namespace, uid, resourceVersion } = pod.metadata;
      recorder.record(
        {
          apiVersion: 'v1',
          kind: 'Pod',
          name,
          ...(namespace === undefined ? {} : { namespace }),
          uid,
          resourceVersion,
          ...(container === undefined ? {} : { fieldPath: containerFieldPath(container) }),
        },
        type,
        reason,
        message,
      );
    },
  };
}
