/**
 * Writes `schema/upstream-1.32.json`: names, types and list semantics of the API's fields, taken from the Go sources that
 * Debian ships (see `schema/NOTICE`). Run by hand, not by builds:
 *
 *   tsx packages/api/tools/extract-facts.ts DIR
 *
 * where DIR holds the unpacked `golang-k8s-api-dev` and `golang-k8s-apimachinery-dev` (its `usr/share/gocode/src/k8s.io`).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GoField, type GoFile, type GoType, parseGoFile } from './go-types.ts';

/** Package directory to the short name its definitions carry in the facts. */
const PACKAGES: Readonly<Record<string, string>> = {
  'api/admissionregistration/v1': 'admissionregistration.v1',
  'api/admissionregistration/v1alpha1': 'admissionregistration.v1alpha1',
  'api/apps/v1': 'apps.v1',
  'api/authentication/v1': 'authentication.v1',
  'api/authorization/v1': 'authorization.v1',
  'api/autoscaling/v1': 'autoscaling.v1',
  'api/autoscaling/v2': 'autoscaling.v2',
  'api/batch/v1': 'batch.v1',
  'api/certificates/v1': 'certificates.v1',
  'api/coordination/v1': 'coordination.v1',
  'api/core/v1': 'core.v1',
  'api/discovery/v1': 'discovery.v1',
  'api/events/v1': 'events.v1',
  'api/flowcontrol/v1': 'flowcontrol.v1',
  'api/networking/v1': 'networking.v1',
  'api/networking/v1beta1': 'networking.v1beta1',
  'api/node/v1': 'node.v1',
  'api/policy/v1': 'policy.v1',
  'api/rbac/v1': 'rbac.v1',
  'api/resource/v1beta1': 'resource.v1beta1',
  'api/scheduling/v1': 'scheduling.v1',
  'api/storage/v1': 'storage.v1',
  'api/storage/v1beta1': 'storage.v1beta1',
  'apimachinery/pkg/apis/meta/v1': 'meta.v1',
};

/** Kinds that reached v1 after this release: their shape is taken from the version that was there. */
const PROMOTED: Readonly<Record<string, { readonly to: string; readonly kinds: readonly string[] }>> = {
  'networking.v1beta1': { to: 'networking.v1', kinds: ['IPAddress', 'ServiceCIDR'] },
  'storage.v1beta1': { to: 'storage.v1', kinds: ['VolumeAttributesClass'] },
  'resource.v1beta1': { to: 'resource.v1', kinds: ['DeviceClass', 'ResourceClaim', 'ResourceClaimTemplate', 'ResourceSlice'] },
  'admissionregistration.v1alpha1': {
    to: 'admissionregistration.v1',
    kinds: ['MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding'],
  },
};

/** Definitions of the machinery that no kind refers to. */
const META_ROOTS = [
  'APIGroup', 'APIGroupList', 'APIResourceList', 'APIVersions', 'Condition', 'DeleteOptions', 'LabelSelector', 'ListMeta', 'ObjectMeta', 'Status',
]; // biome-ignore format: a list

/** Types whose zero value is on the wire where nothing says otherwise. */
const ZEROES = new Set(['string', 'bool', 'int32', 'int64', 'double']);

/** Go types that are one value on the wire. */
const SPECIAL: Readonly<Record<string, string>> = {
  'meta.v1.Time': 'time',
  'meta.v1.MicroTime': 'microtime',
  'meta.v1.Duration': 'duration',
  'meta.v1.FieldsV1': 'fields',
  'runtime.RawExtension': 'raw',
  'intstr.IntOrString': 'intstr',
  'resource.Quantity': 'quantity',
  'types.UID': 'string',
  'types.NodeName': 'string',
  'types.NamespacedName': 'string',
};

const BASIC: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'bool',
  int: 'int32',
  int32: 'int32',
  int64: 'int64',
  float64: 'double',
  '[]byte': 'bytes',
};

type Facts = Record<string, Record<string, string>>;

class Extractor {
  readonly #types = new Map<string, { readonly type: GoType; readonly file: GoFile; readonly pkg: string }>();
  readonly #enums = new Map<string, readonly string[]>();
  readonly #constants = new Map<string, string>();
  readonly facts: Facts = {};

  load(root: string): void {
    for (const [directory, pkg] of Object.entries(PACKAGES)) {
      const path = join(root, directory);
      const names = readdirSync(path).filter((name) => name.endsWith('.go') && !/(_test|generated|deepcopy)/.test(name));
      for (const name of names) this.#add(parseGoFile(readFileSync(join(path, name), 'utf8')), pkg);
    }
  }

  #add(file: GoFile, pkg: string): void {
    for (const [name, value] of file.named) this.#constants.set(name, value);
    for (const type of file.types) {
      this.#types.set(`${pkg}.${type.name}`, { type, file, pkg });
      const values = file.constants.get(type.name);
      if (type.markers.includes('enum') && values !== undefined) this.#enums.set(`${pkg}.${type.name}`, values);
    }
  }

  /** Kinds (types with a TypeMeta) of the stable packages, and what they refer to. */
  run(): Facts {
    for (const [name, { type, pkg }] of this.#types) {
      if (PROMOTED[pkg] !== undefined || type.kind !== 'struct') continue;
      const isKind = type.fields.some((field) => field.inline && field.goType.endsWith('TypeMeta'));
      if (pkg === 'meta.v1' ? META_ROOTS.includes(type.name) : isKind && !type.name.endsWith('List')) this.#visit(name);
    }
    for (const [pkg, { kinds }] of Object.entries(PROMOTED)) for (const kind of kinds) this.#visit(`${pkg}.${kind}`);
    return Object.fromEntries(Object.entries(this.facts).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #visit(name: string): void {
    const target = promotedName(name);
    if (this.facts[target] !== undefined) return;
    const found = this.#types.get(name);
    if (found === undefined || found.type.kind !== 'struct') throw new Error(`no struct ${name}`);
    const definition: Record<string, string> = {};
    this.facts[target] = definition;
    if (found.type.markers.includes('structType=atomic') || found.type.markers.includes('mapType=atomic')) definition.$ = 'map=atomic';
    this.#addFields(definition, name);
  }

  #addFields(definition: Record<string, string>, name: string): void {
    const found = this.#types.get(name);
    if (found?.type.kind === 'alias') {
      this.#addFields(definition, this.#qualify(found.type.goType, found));
      return;
    }
    if (found === undefined) throw new Error(`no struct ${name}`);
    for (const field of found.type.fields) {
      if (field.inline) this.#addFields(definition, this.#qualify(field.goType.replace('*', ''), found));
      else definition[field.jsonName] = this.#fact(field, found);
    }
  }

  #fact(field: GoField, where: { readonly file: GoFile; readonly pkg: string }): string {
    const { text, enumValues, isStruct } = this.#typeText(field.goType, where);
    const markers = new Map(field.markers.map((marker) => [marker.split('=')[0] ?? '', marker.slice(marker.indexOf('=') + 1)]));
    const parts = [text];
    const optional = markers.has('optional') || field.omitempty;
    if (!optional) parts.push('!');
    // A struct that is no pointer is always on the wire.
    if (isStruct) parts.push('zero');
    const isPointer = field.goType.startsWith('*') || text.startsWith('[') || text.startsWith('{');
    if (!isStruct && !isPointer && !field.omitempty && ZEROES.has(text)) parts.push('always');
    const given = markers.get('default');
    const constant = given === undefined ? undefined : /^ref\((\w+)\)$/.exec(given)?.[1];
    if (given !== undefined) parts.push(`default=${constant === undefined ? given : JSON.stringify(this.#constants.get(constant))}`);
    if (enumValues !== undefined) parts.push(`enum=${enumValues.join(',')}`);
    // Bytes are one string on the wire.
    const listType = text === 'bytes' ? undefined : markers.get('listType');
    const keys = field.markers.filter((marker) => marker.startsWith('listMapKey=')).map((marker) => marker.slice('listMapKey='.length));
    if (listType !== undefined) parts.push(`list=${listType}${keys.length > 0 ? `:${keys.join(',')}` : ''}`);
    if (markers.get('mapType') !== undefined || markers.get('structType') !== undefined) {
      parts.push(`map=${markers.get('mapType') ?? markers.get('structType')}`);
    }
    const strategy = field.tags.patchStrategy;
    if (strategy !== undefined) parts.push(`patch=${strategy}${field.tags.patchMergeKey ? `:${field.tags.patchMergeKey}` : ''}`);
    return parts.join(' ');
  }

  #typeText(
    goType: string,
    where: { readonly file: GoFile; readonly pkg: string },
  ): { readonly text: string; readonly enumValues?: readonly string[] | undefined; readonly isStruct?: boolean } {
    const basic = BASIC[goType];
    if (basic !== undefined) return { text: basic };
    if (goType.startsWith('*')) return { ...this.#typeText(goType.slice(1), where), isStruct: false };
    if (goType.startsWith('[]'))
      return { ...this.#typeText(goType.slice(2), where), text: `[]${this.#typeText(goType.slice(2), where).text}`, isStruct: false };
    const map = /^map\[[\w.]+\](.*)$/.exec(goType)?.[1];
    if (map !== undefined) return { text: `{}${this.#typeText(map, where).text}` };
    const name = this.#qualify(goType, where);
    const special = SPECIAL[name];
    if (special !== undefined) return { text: special };
    const found = this.#types.get(name);
    if (found === undefined) throw new Error(`unknown type ${goType} in ${where.pkg}`);
    if (found.type.kind === 'alias') {
      const target = this.#typeText(found.type.goType, found);
      return { ...target, enumValues: this.#enums.get(name) ?? target.enumValues };
    }
    this.#visit(name);
    return { text: `@${promotedName(name)}`, isStruct: true };
  }

  #qualify(goType: string, { file, pkg }: { readonly file: GoFile; readonly pkg: string }): string {
    if (!goType.includes('.')) return `${pkg}.${goType}`;
    const [alias = '', name = ''] = goType.split('.');
    const path = file.imports.get(alias) ?? '';
    const directory = path.replace('k8s.io/', '');
    return `${PACKAGES[directory] ?? directory.split('/').at(-1)}.${name}`;
  }
}

function promotedName(name: string): string {
  const pkg = Object.keys(PROMOTED).find((candidate) => name.startsWith(`${candidate}.`));
  return pkg === undefined ? name : `${PROMOTED[pkg]?.to}${name.slice(pkg.length)}`;
}

function main(): void {
  const root = process.argv[2];
  if (root === undefined) throw new Error('usage: extract-facts.ts DIR');
  const extractor = new Extractor();
  extractor.load(root);
  const facts = extractor.run();
  const lines = Object.entries(facts).map(([name, definition]) => `${JSON.stringify(name)}:${JSON.stringify(definition)}`);
  writeFileSync(new URL('../schema/upstream-1.32.json', import.meta.url), `{\n${lines.join(',\n')}\n}\n`);
  console.log(`${lines.length} definitions`);
}

main();
