/** Our service proxy alone: LISTEN_PORT on loopback leads to BACKEND_PORT. Says `ready`; serves until it is killed. */
import { silentLogger, systemClock, systemRandom } from '@dure/foundation';
import { createServiceProxy, openNamespaceSockets, openSyscalls } from '@dure/network';

const [listenPort, backendPort] = process.argv.slice(2).map(Number) as [number, number];
const sockets = openNamespaceSockets(openSyscalls());
const proxy = createServiceProxy({ log: silentLogger, clock: systemClock, random: systemRandom, services: sockets, node: sockets });
const endpoint = {
  ...{ address: '127.0.0.1', port: backendPort, ready: true, serving: true },
  ...{ terminating: false, local: true, zoneHints: [] },
};
proxy.update({
  services: [
    {
      namespace: 'default',
      name: 'bench',
      clusterIPs: ['127.0.0.1'],
      externalIPs: [],
      loadBalancerIPs: [],
      ports: [{ id: 'default/bench:', protocol: 'TCP', port: listenPort, nodePort: 0, endpoints: [endpoint] }],
      sessionAffinitySeconds: 0,
      internalTrafficPolicy: 'Cluster',
      externalTrafficPolicy: 'Cluster',
    },
  ],
});
const { failed } = proxy.status();
if (failed.length > 0) throw new Error(failed.map(({ listener, reason }) => `${listener}: ${reason}`).join('\n'));
console.log('ready');
await proxy.run(new AbortController().signal);
