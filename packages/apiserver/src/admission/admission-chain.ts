import type { Admission, AdmissionRequest } from '../contract/admission.ts';

/** One admission controller. Absent stages are skipped. */
export interface AdmissionPlugin {
  /** Upstream's name (`NamespaceLifecycle`). */
  readonly name: string;
  mutate?(request: AdmissionRequest, signal: AbortSignal): Promise<void>;
  validate?(request: AdmissionRequest, signal: AbortSignal): Promise<void>;
}

/** Runs every plugin's mutation in order, then every validation in order; the first refusal ends it. */
export function admissionChain(plugins: readonly AdmissionPlugin[]): Admission {
  return {
    async mutate(request, signal) {
      for (const plugin of plugins) await plugin.mutate?.(request, signal);
    },
    async validate(request, signal) {
      for (const plugin of plugins) await plugin.validate?.(request, signal);
    },
  };
}

/** True where the request writes the resource itself, not one of its subresources. */
export function writes(request: AdmissionRequest, resource: string, group = ''): boolean {
  return request.resource === resource && request.group === group && request.subresource === '';
}
