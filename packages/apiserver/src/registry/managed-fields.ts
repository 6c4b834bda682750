import type { JsonObject, KubeObject, SchemaBook } from '@dure/api';
import type { RegistryCall } from './scope.ts';

/** Notes in managedFields what this write changed and who did it. */
export function recordUpdate(
  _book: SchemaBook,
  _call: RegistryCall,
  _object: JsonObject,
  _old: KubeObject | undefined,
  _manager: string,
  _now: string,
): void {}
