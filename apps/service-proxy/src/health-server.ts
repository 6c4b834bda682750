import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Responder } from '@dure/dns';
import type { Logger } from '@dure/foundation';
import type { NodeServices } from './node-services.ts';

export interface HealthServerOptions {
  readonly port: number;
  readonly services: NodeServices;
  readonly responder: Responder;
  readonly log: Logger;
}

/** `/healthz` (200 while DNS listens) and `/metrics` on loopback until `signal` aborts. A port in use is a warning: nothing depends on it. */
export async function serveHealth({ port, services, responder, log }: HealthServerOptions, signal: AbortSignal): Promise<void> {
  if (port === 0) return;
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000 }, (request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/healthz' || path === '/livez') {
      response.writeHead(services.isServing ? 200 : 503, { 'content-type': 'text/plain' }).end(services.isServing ? 'ok' : 'not serving');
    } else if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(renderMetrics(services, responder));
    } else {
      response.writeHead(404).end();
    }
  });
  server.on('error', (error) => log.warn('health cannot be served', { port, error }));
  server.listen(port, '127.0.0.1');
  if (!signal.aborted) await once(signal, 'abort').catch(() => {});
  server.closeAllConnections();
  server.close();
}

function renderMetrics({ proxy, isServing }: NodeServices, { counters }: Responder): string {
  const status = proxy?.status();
  const gauge = (name: string, help: string, value: number): string => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
  const answers = Object.entries(counters).map(([source, count]) => `dure_dns_answers_total{source="${source}"} ${count}\n`);
  return [
    gauge('dure_dns_serving', '1 while DNS listens.', isServing ? 1 : 0),
    gauge('dure_proxy_listeners', 'Open listeners.', status?.listeners ?? 0),
    gauge('dure_proxy_listeners_failed', 'Listeners that could not be opened.', status?.failed.length ?? 0),
    gauge('dure_proxy_connections', 'TCP connections under way.', status?.connections ?? 0),
    gauge('dure_proxy_udp_flows', 'UDP clients remembered.', status?.udpFlows ?? 0),
    '# HELP dure_dns_answers_total Questions by where their answer came from.\n# TYPE dure_dns_answers_total counter\n',
    ...answers,
  ].join('');
}
