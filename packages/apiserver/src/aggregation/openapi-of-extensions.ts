import { type JsonObject, joinApiVersion, serviceUnavailable } from '@dure/api';
import { messageOf } from '@dure/foundation';
import type { OpenApiElsewhere } from '../openapi/elsewhere.ts';
import type { ApiService } from './api-service.ts';
import type { ExtensionDocuments } from './extension-documents.ts';
import type { RegisteredServices } from './registered-services.ts';

/** The OpenAPI documents of the extension API servers that are registered. */
export function openApiOfExtensions(services: RegisteredServices, documents: ExtensionDocuments): OpenApiElsewhere {
  const remote = (): readonly ApiService[] =>
    [...services.list()].filter(({ group, version }) => services.elsewhere(group, version) !== undefined);
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
          const url = documents.of(service)?.openApiUrl;
          return url === undefined ? [] : [[`apis/${joinApiVersion(service.group, service.version)}`, url]];
        }),
      ),
    async fetch(group, version, query, accept, signal) {
      const service = services.elsewhere(group, version);
      if (service === undefined) throw serviceUnavailable('the API service has gone');
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
