/** Our DNS responder alone: answers UDP on PORT from the Services in FILE. Says `ready`; serves until it is killed. */
import { readFileSync } from 'node:fs';
import { createResponder, createUpstream, serveDns, type ZoneService } from '@dure/dns';
import { silentLogger as log, systemRandom as random, systemClock } from '@dure/foundation';
import { openNamespaceSockets, openSyscalls } from '@dure/network';

const [port = '', file = ''] = process.argv.slice(2);
const services = JSON.parse(readFileSync(file, 'utf8')) as readonly ZoneService[];
const signal = new AbortController().signal;
const responder = createResponder({ upstream: createUpstream({ servers: [], clock: systemClock, random, log }), random, log });
responder.update({ clusterDomain: 'cluster.local', services });
// A socket that the proxy would open, in the services namespace there and in this one here.
const udp = [openNamespaceSockets(openSyscalls()).bindUdp('127.0.0.1', Number(port))];
const serving = serveDns({ responder, udp, tcp: [], clock: systemClock, log }, signal);
console.log('ready');
await Promise.all([serving, responder.run(signal)]);
