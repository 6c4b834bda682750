import type { Admission, AdmissionRequest } from '../contract/admission.ts';

/** The rounds that the mutation of one request goes through. What somebody outside changed, all others may want to see: one more round. */
export interface MutationRounds {
  readonly isReinvocation: boolean;
  /** Asks for a second round; there is no third. */
  reinvoke(): void;
}

/** One admission controller. Absent stages are skipped. */
export interface AdmissionPlugin {
  /** Upstream's name (`NamespaceLifecycle`). */
  readonly name: string;
  /** @param rounds The same value in both rounds of one request. */
  mutate?(request: AdmissionRequest, signal: AbortSignal, rounds: MutationRounds): Promise<void>;
  validate?(request: AdmissionRequest, signal: AbortSignal): Promise<void>;
}

/** Runs every plugin's mutation in order, a second time where one asks for it, then every validation in order; the first refusal ends it. */
export function admissionChain(plugins: readonly AdmissionPlugin[]): Admission {
  return {
    async mutate(request, signal) {
      let wanted = false;
      const rounds = {
        isReinvocation: false,
        reinvoke: () => {
          wanted = true;
        },
      };
      for (const plugin of plugins) await plugin.mutate?.(request, signal, rounds);
      if (!wanted) return;
      rounds.isReinvocation = true;
      for (const plugin of plugins) await plugin.mutate?.(request, signal, rounds);
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
