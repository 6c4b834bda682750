import { createHash } from 'node:crypto';
import { type JsonObject, joinApiVersion, serviceUnavailable } from '@dure/api';
import { messageOf } from '@dure/foundation';
import type { OpenApiElsewhere } from '../openapi/elsewhere.ts';
import { upgradedSwagger } from '../openapi/swagger-upgrade.ts';
import type { ApiService } from './api-service.ts';
import type { ExtensionDocuments } from './extension-documents.ts';
import type { RegisteredServices } from './registered-services.ts';

interface Upgraded {
  readonly bytes: Uint8Array;
  readonly hash: string;
}

/** The OpenAPI documents of the extension API servers that are registered. */
export function openApiOfExtensions(services: RegisteredServices, documents: ExtensionDocuments): OpenApiElsewhere {
  const remote = (): readonly ApiService[] =>
    [...services.list()].filter(({ group, version }) => services.elsewhere(group, version) !== undefined);
  const made = new WeakMap<JsonObject, Map<string, Upgraded>>();
  /** Where the server says it in the older form only: that in the newer. */
  const upgraded = (service: ApiService): Upgraded | undefined => {
    const { swagger, openApiUrl } = documents.of(service) ?? {};
    if (swagger === undefined || openApiUrl !== undefined) return undefined;
    const ofServer = made.get(swagger) ?? new Map<string, Upgraded>();
    made.set(swagger, ofServer);
    const known = ofServer.get(service.name);
    if (known !== undefined) return known;
    const bytes = Buffer.from(JSON.stringify(upgradedSwagger(swagger, service.group, service.version)));
    const upgrade = { bytes, hash: createHash('sha512').update(bytes).digest('hex').slice(0, 64).toUpperCase() };
    ofServer.set(service.name, upgrade);
    return upgrade;
  };
  return {
    has: (group, version) => services.elsewhere(group, version) !== undefined,
    swaggers() {
      // One server may serve many group versions, and says of all of them in one document.
      const byServer = new Map<string, { readonly groupVersions: Set<string>; readonly swagger: JsonObject }>();
      for (const service of remote()) {
        const swagger = documents.of(service)?.swagger;
        if (swagger === undefined) continue;
        const { namespace = '', name = '', port = 0 } = service.target ?? {};
        const key = `${namespace}/${name}:${port}`;
        const known = byServer.get(key) ?? { groupVersions: new Set<string>(), swagger };
        known.groupVersions.add(joinApiVersion(service.group, service.version));
        byServer.set(key, known);
      }
      return [...byServer.values()];
    },
    urls: () =>
      Object.fromEntries(
        remote().flatMap((service) => {
          const path = `apis/${joinApiVersion(service.group, service.version)}`;
          const own = upgraded(service);
          const url = own === undefined ? documents.of(service)?.openApiUrl : `/openapi/v3/${path}?hash=${own.hash}`;
          return url === undefined ? [] : [[path, url]];
        }),
      ),
    async fetch(group, version, query, accept, signal) {
      const service = services.elsewhere(group, version);
      if (service === undefined) throw serviceUnavailable('the API service has gone');
      const own = upgraded(service);
      if (own !== undefined) return { status: 200, contentType: 'application/json', bytes: own.bytes };
      const path = `/openapi/v3/apis/${joinApiVersion(group, version)}${query === '' ? '' : `?${query}`}`;
      try {
        return await documents.fetch(service, path, accept, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw serviceUnavailable(`error trying to reach service: ${messageOf(error)}`);
      }
    },
    onChange: (listener) => documents.onChange(listener),
  };
}
