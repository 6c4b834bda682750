import { type JsonObject, notFound } from '@dure/api';
import type { HealthCheck } from '../health/health.ts';
import type { ResourceHandler } from '../request/call.ts';
import { unsupportedMethod } from '../request/status-response.ts';
import type { SubresourceDeps } from './deps.ts';

/** GET `componentstatuses`: the health of the control plane's parts, in its old form. */
export function componentStatusesHandler({ router }: Pick<SubresourceDeps, 'router'>, checks: readonly HealthCheck[]): ResourceHandler {
  return async (call, kind) => {
    const { info, signal } = call;
    const names = new Set(['etcd', 'ping']);
    const statusOf = async ({ name, check }: HealthCheck): Promise<JsonObject> => {
      const failure = await check(signal).then(
        () => undefined,
        () => 'unhealthy',
      );
      const shown = name === 'etcd' ? 'etcd-0' : name;
      return {
        kind: 'ComponentStatus',
        apiVersion: 'v1',
        metadata: { name: shown },
        conditions: [
          { type: 'Healthy', status: failure === undefined ? 'True' : 'False', message: failure === undefined ? 'ok' : failure },
        ],
      };
    };
    const items = await Promise.all(checks.filter(({ name }) => names.has(name)).map(statusOf));
    if (info.verb === 'get') {
      const item = items.find(({ metadata }) => (metadata as JsonObject).name === info.name);
      if (item === undefined) throw notFound({ group: '', resource: 'componentstatuses' }, info.name);
      return router.present(call, kind, item);
    }
    if (info.verb !== 'list') throw unsupportedMethod(kind.definition);
    return router.presentList(call, kind, items);
  };
}
