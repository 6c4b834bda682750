import type { ConfigMap, Container, Pod, Secret, Service } from '@dure/api';
import { describe, expect, it } from 'vitest';
import { environmentOf } from './environment.ts';
import { serviceEnvironment } from './service-environment.ts';

const metadata = { uid: 'u', resourceVersion: '1', creationTimestamp: '', namespace: 'shop' };
const configMap: ConfigMap = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { ...metadata, name: 'cm' },
  data: { KEY: 'value', other: 'o' },
};
const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { ...metadata, name: 'sec' },
  data: { PW: Buffer.from('geheim').toString('base64') },
};
const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { ...metadata, name: 'web', uid: 'u1', labels: { app: 'shop' } },
  spec: { containers: [], nodeName: 'node-a', serviceAccountName: 'sa' },
  status: {},
};

async function env(container: Partial<Container>): Promise<Record<string, string>> {
  const found = await environmentOf({
    pod,
    container: { name: 'c', ...container },
    objects: {
      configMap: async (_namespace, name) => (name === 'cm' ? configMap : undefined),
      secret: async (_namespace, name) => (name === 'sec' ? secret : undefined),
    },
    services: [],
    facts: { podIPs: ['10.42.0.5'], hostIPs: ['192.0.2.1'], allocatable: { cpu: '4', memory: '8Gi' } },
    fileValue: async () => undefined,
  });
  return Object.fromEntries(found);
}

describe('the environment of a container', () => {
  it('comes from everywhere, later entries seeing earlier ones', async () => {
    expect(
      await env({
        envFrom: [{ prefix: 'P_', configMapRef: { name: 'cm' } }, { secretRef: { name: 'sec' } }],
        env: [
          { name: 'A', value: '$(P_KEY)-$(B)' },
          { name: 'B', value: 'b' },
          { name: 'C', value: '$(B)$(PW)' },
          { name: 'K', valueFrom: { configMapKeyRef: { name: 'cm', key: 'KEY' } } },
          { name: 'S', valueFrom: { secretKeyRef: { name: 'sec', key: 'PW' } } },
          { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
          { name: 'LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
          { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'requests.cpu' } } },
        ],
        resources: { requests: { cpu: '250m' } },
      }),
    ).toEqual({
      P_KEY: 'value',
      P_other: 'o',
      PW: 'geheim',
      A: 'value-$(B)',
      B: 'b',
      C: 'bgeheim',
      K: 'value',
      S: 'geheim',
      IP: '10.42.0.5',
      APP: 'shop',
      LIMIT: '8192',
      CPU: '1',
    });
  });

  it.each<[Partial<Container>, string]>([
    [{ envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
    [{ envFrom: [{ secretRef: { name: 'none' } }] }, 'secret "none" not found'],
    [{ env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'gone' } } }] }, "couldn't find key gone in ConfigMap shop/cm"],
    [{ env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'sec', key: 'gone' } } }] }, "couldn't find key gone in Secret shop/sec"],
  ])('says what is missing', async (container, message) => {
    await expect(env(container)).rejects.toThrow(message);
  });

  it('leaves out what is optional and missing', async () => {
    const optional = { name: 'X', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', optional: true } } };
    expect(await env({ env: [optional], envFrom: [{ secretRef: { name: 'none', optional: true } }] })).toEqual({});
  });
});

describe('variables of services', () => {
  const service = (name: string, namespace: string, clusterIP = '10.43.0.7'): Service => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, name, namespace },
    spec: {
      clusterIP,
      ports: [
        { port: 80, name: 'http-main' },
        { port: 53, protocol: 'UDP' },
      ],
    },
    status: {},
  });

  it('name host, ports and links', () => {
    expect(Object.fromEntries(serviceEnvironment([service('my-db', 'shop')], 'shop', true))).toEqual({
      MY_DB_SERVICE_HOST: '10.43.0.7',
      MY_DB_SERVICE_PORT: '80',
      MY_DB_SERVICE_PORT_HTTP_MAIN: '80',
      MY_DB_PORT: 'tcp://10.43.0.7:80',
      MY_DB_PORT_80_TCP: 'tcp://10.43.0.7:80',
      MY_DB_PORT_80_TCP_PROTO: 'tcp',
      MY_DB_PORT_80_TCP_PORT: '80',
      MY_DB_PORT_80_TCP_ADDR: '10.43.0.7',
      MY_DB_PORT_53_UDP: 'udp://10.43.0.7:53',
      MY_DB_PORT_53_UDP_PROTO: 'udp',
      MY_DB_PORT_53_UDP_PORT: '53',
      MY_DB_PORT_53_UDP_ADDR: '10.43.0.7',
    });
  });

  it('are of the own namespace, and of the API server always', () => {
    const all = [service('db', 'shop'), service('far', 'other'), service('kubernetes', 'default'), service('headless', 'shop', 'None')];
    expect([...serviceEnvironment(all, 'shop', true).keys()].filter((key) => key.endsWith('_HOST'))).toEqual([
      'DB_SERVICE_HOST',
      'KUBERNETES_SERVICE_HOST',
    ]);
    expect([...serviceEnvironment(all, 'shop', false).keys()].filter((key) => key.endsWith('_HOST'))).toEqual(['KUBERNETES_SERVICE_HOST']);
  });
});
