/**
 * Takes the protobuf field numbers of the built-in kinds from the Go modules k8s.io/api, k8s.io/apimachinery, k8s.io/kube-aggregator and
 * k8s.io/apiextensions-apiserver of one release into `schema/protobuf.json`. Not part of builds; after `go mod download` of the four:
 *
 *   node tools/generate-protobuf-facts.mjs "$(go env GOMODCACHE)/k8s.io" v0.36.0
 *
 * Each message is one string of fields, separated by spaces: `jsonName:number:TYPE[flags]`, where TYPE is a scalar, `@message`, `[]TYPE`
 * or `{}TYPE` (a map from strings), and the flags are `*` (a pointer in Go: zero values are present ones) and `^` (always in JSON).
 * A field without a JSON name is inline: the message's fields belong to its parent.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [root, release] = process.argv.slice(2);
if (root === undefined || release === undefined) throw new Error('usage: generate-protobuf-facts.mjs DIRECTORY RELEASE');
const moduleOf = (name) => join(root, `${name}@${release}`);

const VERSIONS = new Set(['v1', 'v2']);
const packages = [];
const groups = {};
for (const group of readdirSync(moduleOf('api'), { withFileTypes: true })) {
  if (!group.isDirectory() || ['testdata', 'admission', 'apidiscovery'].includes(group.name)) continue;
  for (const version of readdirSync(join(moduleOf('api'), group.name), { withFileTypes: true })) {
    if (!version.isDirectory() || !VERSIONS.has(version.name)) continue;
    const directory = join(moduleOf('api'), group.name, version.name);
    packages.push({ name: `k8s.io.api.${group.name}.${version.name}`, directory });
    const register = readFileSync(join(directory, 'register.go'), 'utf8');
    const groupName = /GroupName\s*=\s*"([^"]*)"/.exec(register)?.[1] ?? '';
    groups[groupName === '' ? version.name : `${groupName}/${version.name}`] = `${group.name}.${version.name}`;
  }
}
for (const path of ['pkg/apis/meta/v1', 'pkg/runtime', 'pkg/util/intstr', 'pkg/api/resource']) {
  packages.push({ name: `k8s.io.apimachinery.${path.replaceAll('/', '.')}`, directory: join(moduleOf('apimachinery'), path) });
}
packages.push({
  name: 'k8s.io.kube_aggregator.pkg.apis.apiregistration.v1',
  directory: join(moduleOf('kube-aggregator'), 'pkg/apis/apiregistration/v1'),
});
packages.push({
  name: 'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1',
  directory: join(moduleOf('apiextensions-apiserver'), 'pkg/apis/apiextensions/v1'),
});
groups['apiextensions.k8s.io/v1'] = 'apiextensions.v1';
groups['apiregistration.k8s.io/v1'] = 'apiregistration.v1';
groups['meta.k8s.io/v1'] = 'meta.v1';

const SHORT = [
  [/^\.?k8s\.io\.api\./, ''],
  [/^\.?k8s\.io\.(apimachinery|kube_aggregator|apiextensions_apiserver)\.pkg\.apis\./, ''],
  [/^\.?k8s\.io\.apimachinery\.pkg\./, ''],
];
const shorten = (name) => SHORT.reduce((text, [pattern, value]) => text.replace(pattern, value), name);

const messages = {};
for (const { name: packageName, directory } of packages) {
  const tags = goTags(directory);
  const proto = readFileSync(join(directory, 'generated.proto'), 'utf8').replace(/\/\/.*$/gm, '');
  for (const [, message, body] of proto.matchAll(/^message (\w+) \{([\s\S]*?)^\}/gm)) {
    const fields = [];
    for (const [, label, type, field, number] of body.matchAll(
      /^\s*(optional|repeated|map<string,)?\s*([\w.<>, ]+?)>?\s+(\w+)\s*=\s*(\d+)/gm,
    )) {
      const tag = tags.get(message)?.get(Number(number));
      const jsonName = tag === undefined ? field : tag.inline ? '' : tag.jsonName;
      const scalar = /^(string|bool|bytes|int32|int64|uint32|uint64|double|float)$/.test(type);
      const plain = scalar ? type : `@${shorten(type.includes('.') ? type : `${packageName}.${type}`)}`;
      const wrapped = label === 'repeated' ? `[]${plain}` : label?.startsWith('map') ? `{}${plain}` : plain;
      const flags = `${tag?.pointer ? '*' : ''}${tag !== undefined && !tag.omitEmpty ? '^' : ''}`;
      fields.push(`${jsonName}:${number}:${wrapped}${flags}`);
    }
    messages[`${shorten(packageName)}.${message}`] = fields.join(' ');
  }
}

const sorted = Object.fromEntries(Object.entries(messages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(new URL('../schema/protobuf.json', import.meta.url), `${JSON.stringify({ groups, messages: sorted }, null, 1)}\n`);
console.log(`${Object.keys(sorted).length} messages`);

/** Struct -> field number -> what its Go tags say. */
function goTags(directory) {
  const structs = new Map();
  for (const file of readdirSync(directory)) {
    if (!file.endsWith('.go') || file.startsWith('zz_') || file === 'generated.pb.go' || file.endsWith('_test.go')) continue;
    const text = readFileSync(join(directory, file), 'utf8');
    for (const [, struct, body] of text.matchAll(/^type (\w+) struct \{([\s\S]*?)^\}/gm)) {
      const fields = new Map();
      for (const line of body.split('\n')) {
        const protobuf = /protobuf:"\w+,(\d+)(?:[^"]*name=(\w+))?/.exec(line);
        if (protobuf === null || line.trim().startsWith('//')) continue;
        const json = /json:"([^"]*)"/.exec(line)?.[1] ?? '';
        const [jsonName, ...options] = json.split(',');
        const goType = line.trim().split(/\s+/)[1] ?? '';
        fields.set(Number(protobuf[1]), {
          // `-`: JSON is made by hand; the codec knows the message.
          jsonName: jsonName === '' || jsonName === '-' ? (protobuf[2] ?? '') : jsonName,
          inline: options.includes('inline'),
          omitEmpty: options.includes('omitempty'),
          pointer: goType.startsWith('*'),
        });
      }
      structs.set(struct, fields);
    }
  }
  return structs;
}
