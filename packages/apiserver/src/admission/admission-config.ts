import { decodeConfigFile, FileFaults, fieldsOf, listOf, textOf } from '../config-files/config-file.ts';
import { POD_SECURITY_CONFIG_KIND, type PodSecurityConfig, parsePodSecurityConfig } from './pod-security/pod-security-config.ts';

/** What an operator says of admission plugins. */
export interface AdmissionConfig {
  readonly podSecurity?: PodSecurityConfig;
}

const KIND = { group: 'apiserver.config.k8s.io', versions: ['v1'], kind: 'AdmissionConfiguration' } as const;
const CONFIGURABLE = ['PodSecurity'];

/**
 * Reads an AdmissionConfiguration.
 * @param readText The text of a file that it names. @throws {ConfigFileError} with every fault.
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/
 */
export async function parseAdmissionConfig(text: string, readText: (path: string) => Promise<string>): Promise<AdmissionConfig> {
  const content = decodeConfigFile(text, KIND);
  const faults = new FileFaults(content);
  faults.knowOnly(content, '', ['apiVersion', 'kind', 'plugins']);
  const plugins = listOf(content.plugins).map(fieldsOf);
  const named = plugins.map(({ name }) => textOf(name));
  for (const [index, plugin] of plugins.entries()) {
    const path = `plugins[${index}]`;
    const name = textOf(plugin.name);
    faults.knowOnly(plugin, path, ['name', 'path', 'configuration']);
    if (!CONFIGURABLE.includes(name)) {
      faults.add(
        `${path}.name`,
        `Unsupported value: ${JSON.stringify(name)}: supported values: ${CONFIGURABLE.map((one) => `"${one}"`).join(', ')}`,
      );
    }
    if (named.indexOf(name) < index) faults.add(`${path}.name`, `Duplicate value: ${JSON.stringify(name)}`);
  }
  faults.throwIfAny();
  const plugin = plugins.find(({ name }) => name === 'PodSecurity');
  if (plugin === undefined) return {};
  const path = textOf(plugin.path);
  const configuration = path === '' ? JSON.stringify(plugin.configuration ?? null) : await readText(path);
  return { podSecurity: parsePodSecurityConfig(decodeConfigFile(configuration, POD_SECURITY_CONFIG_KIND)) };
}
