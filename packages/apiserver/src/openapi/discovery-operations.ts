import type { JsonObject, SchemaNode } from '@dure/api';
import { groupWord, lower, upper } from './operation-names.ts';
import type { Dialect } from './schemas.ts';

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const TYPES: readonly string[] = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const REF: Readonly<Record<Dialect, string>> = { v2: '#/definitions/', v3: '#/components/schemas/' };

const VERSION_INFO = 'io.k8s.apimachinery.pkg.version.Info';
const text: SchemaNode = { type: 'string' };

/** What `/version` answers: in no book, since it is no object of the API. */
export const versionInfoSchema: readonly [name: string, schema: SchemaNode] = [
  VERSION_INFO,
  {
    type: 'object',
    description: 'Info says which release the server is, and how it was built.',
    required: ['major', 'minor', 'gitVersion', 'gitCommit', 'gitTreeState', 'buildDate', 'goVersion', 'compiler', 'platform'],
    properties: {
      major: text,
      minor: text,
      emulationMajor: text,
      emulationMinor: text,
      minCompatibilityMajor: text,
      minCompatibilityMinor: text,
      gitVersion: text,
      gitCommit: text,
      gitTreeState: text,
      buildDate: text,
      goVersion: text,
      compiler: text,
      platform: text,
    },
  },
];

/** The list of resources of one group version. Pure. */
export function groupVersionPath(group: string, version: string, dialect: Dialect): JsonObject {
  const path = group === '' ? `/api/${version}/` : `/apis/${group}/${version}/`;
  const word = `${groupWord(group)}${upper(version)}`;
  const tag = `${lower(groupWord(group))}_${version}`;
  return { [path]: getter('get available resources', `get${word}APIResources`, tag, `${META}.APIResourceList`, dialect) };
}

/** The documents that say what there is besides. Pure. @param groups Without the core one. */
export function serverPaths(groups: readonly string[], dialect: Dialect): JsonObject {
  const [versions, one] = ['get available API versions', 'get information of a group'];
  return {
    '/api/': getter(versions, 'getCoreAPIVersions', 'core', `${META}.APIVersions`, dialect),
    '/apis/': getter(versions, 'getAPIVersions', 'apis', `${META}.APIGroupList`, dialect),
    ...Object.fromEntries(
      groups.map((group) => {
        const word = groupWord(group);
        return [`/apis/${group}/`, getter(one, `get${word}APIGroup`, lower(word), `${META}.APIGroup`, dialect)];
      }),
    ),
    '/version/': getter('get the version information for this server', 'getCodeVersion', 'version', VERSION_INFO, dialect, [
      'application/json',
    ]),
  };
}

function getter(description: string, operationId: string, tag: string, answer: string, dialect: Dialect, types = TYPES): JsonObject {
  const schema = { $ref: `${REF[dialect]}${answer}` };
  const unauthorized = { description: 'Unauthorized' };
  const common = { description, operationId, tags: [tag] };
  if (dialect === 'v3') {
    const content = Object.fromEntries(types.map((type) => [type, { schema }]));
    return { get: { ...common, responses: { '200': { description: 'OK', content }, '401': unauthorized } } };
  }
  const responses = { '200': { description: 'OK', schema }, '401': unauthorized };
  return { get: { ...common, consumes: [...types], produces: [...types], schemes: ['https'], responses } };
}
