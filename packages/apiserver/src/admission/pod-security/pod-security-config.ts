import { type Fields, FileFaults, fieldsOf, listOf, textOf } from '../../config-files/config-file.ts';
import { LEVELS, type NamespacePolicy, NO_POLICY, parseLevel, parseMinor, type Standard } from './policy.ts';

/** Who is not held to any namespace's standard. */
export interface PodSecurityExemptions {
  readonly namespaces: readonly string[];
  readonly usernames: readonly string[];
  readonly runtimeClasses: readonly string[];
}

export interface PodSecurityConfig {
  /** For what the labels of a namespace do not say. */
  readonly defaults: NamespacePolicy;
  readonly exemptions: PodSecurityExemptions;
}

/** Everything is allowed where namespaces do not say otherwise, and nobody is exempt. */
export const USUAL_POD_SECURITY: PodSecurityConfig = {
  defaults: NO_POLICY,
  exemptions: { namespaces: [], usernames: [], runtimeClasses: [] },
};

export const POD_SECURITY_CONFIG_KIND = {
  group: 'pod-security.admission.config.k8s.io',
  versions: ['v1', 'v1beta1', 'v1alpha1'],
  kind: 'PodSecurityConfiguration',
} as const;

/** @param content Of {@link POD_SECURITY_CONFIG_KIND}. @throws {ConfigFileError} with every fault. */
export function parsePodSecurityConfig(content: Fields): PodSecurityConfig {
  const faults = new FileFaults(content);
  faults.knowOnly(content, '', ['apiVersion', 'kind', 'defaults', 'exemptions']);
  const defaults = fieldsOf(content.defaults);
  const exemptions = fieldsOf(content.exemptions);
  const modes = ['enforce', 'audit', 'warn'] as const;
  faults.knowOnly(
    defaults,
    'defaults',
    modes.flatMap((mode) => [mode, `${mode}-version`]),
  );
  faults.knowOnly(exemptions, 'exemptions', Object.keys(USUAL_POD_SECURITY.exemptions));
  const standard = (mode: (typeof modes)[number]): Standard => {
    const [level, minor] = [textOf(defaults[mode]) || 'privileged', textOf(defaults[`${mode}-version`]) || 'latest'];
    const parsed = { level: parseLevel(level), minor: parseMinor(minor) };
    if (parsed.level === undefined) faults.add(`defaults.${mode}`, `Invalid value: "${level}": must be one of ${LEVELS.join(', ')}`);
    if (parsed.minor === undefined) faults.add(`defaults.${mode}-version`, `Invalid value: "${minor}": must be "latest" or "v1.x"`);
    return { level: parsed.level ?? 'restricted', minor: parsed.minor ?? 'latest' };
  };
  const names = (field: keyof PodSecurityExemptions): readonly string[] => listOf(exemptions[field]).map(textOf);
  const config: PodSecurityConfig = {
    defaults: { enforce: standard('enforce'), audit: standard('audit'), warn: standard('warn') },
    exemptions: { namespaces: names('namespaces'), usernames: names('usernames'), runtimeClasses: names('runtimeClasses') },
  };
  faults.throwIfAny();
  return config;
}
