import { type JsonObject, type KubeObject, numberAt, objectAt, stringAt, trueAt } from '@dure/api';
import type { ExtensionTarget } from '../connect/extension-dialer.ts';
import { hasCondition } from '../registry/conditions.ts';

export const API_SERVICES = { group: 'apiregistration.k8s.io', resource: 'apiservices' } as const;

/** What an APIService says: who serves a group version, and where it stands among the others. */
export interface ApiService {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  /** Absent: this server. */
  readonly target?: ExtensionTarget;
  readonly isAvailable: boolean;
  readonly object: KubeObject;
}

const PORT_DEFAULT = 443;

/** @param object A valid APIService. */
export function apiServiceOf(object: KubeObject): ApiService {
  const json = object as unknown as JsonObject;
  const spec = objectAt(json, 'spec');
  const service = objectAt(spec, 'service');
  return {
    name: object.metadata.name,
    group: stringAt(spec, 'group'),
    version: stringAt(spec, 'version'),
    groupPriority: numberAt(spec, 'groupPriorityMinimum') ?? 0,
    versionPriority: numberAt(spec, 'versionPriority') ?? 0,
    ...(service === undefined
      ? {}
      : {
          target: {
            namespace: stringAt(service, 'namespace'),
            name: stringAt(service, 'name'),
            port: numberAt(service, 'port') ?? PORT_DEFAULT,
            caBundle: stringAt(spec, 'caBundle'),
            insecureSkipTLSVerify: trueAt(spec, 'insecureSkipTLSVerify'),
          },
        }),
    isAvailable: hasCondition(json, 'Available'),
    object,
  };
}
