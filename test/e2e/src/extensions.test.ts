import { systemClock, systemRandom } from '@dure/foundation';
import { createAuthority, issueCertificate } from '@dure/pki';
import { eventually, type Kubectl, pushImage } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clusterUnavailable } from './addresses.ts';
import { extensionsImage } from './extensions/image.ts';
import { OneNode } from './one-node.ts';

const unavailable = clusterUnavailable();
const NAMESPACE = 'extensions';

/** A team's own servers in Pods behind Services, which the API server calls: webhooks of every kind, and an API of their own. */
describe.skipIf(unavailable !== undefined)(
  `what extends the API from inside the cluster${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let one: OneNode;
    let kubectl: Kubectl;
    let caBundle: string;

    const apply = (...items: readonly object[]): Promise<string> =>
      kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const serviceOf = (name: string, path: string) => ({ namespace: NAMESPACE, name, port: 443, path });

    beforeAll(async () => {
      one = await OneNode.start();
      kubectl = one.kubectl;
      await pushImage(await extensionsImage(), { url: one.registry.url, repository: 'extensions', tag: '1' });
      await kubectl.run(['create', 'namespace', NAMESPACE]);
      const context = { clock: systemClock, random: systemRandom };
      const authority = await createAuthority({ commonName: 'extensions-ca' }, context);
      caBundle = Buffer.from(authority.certificatePem).toString('base64');
      for (const name of ['webhook', 'aggregated']) {
        const { certificatePem, privateKeyPem } = await issueCertificate(
          authority,
          { commonName: name, organizations: [], usages: ['server auth'], dnsNames: [`${name}.${NAMESPACE}.svc`], ipAddresses: [] },
          context,
        );
        const labels = { app: name };
        await apply(
          {
            apiVersion: 'v1',
            kind: 'Secret',
            type: 'kubernetes.io/tls',
            metadata: { name: `${name}-certificate`, namespace: NAMESPACE },
            stringData: { 'tls.crt': certificatePem, 'tls.key': privateKeyPem },
          },
          { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } },
          {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            metadata: { name, namespace: NAMESPACE },
            spec: {
              selector: { matchLabels: labels },
              template: {
                metadata: { labels },
                spec: {
                  serviceAccountName: name,
                  terminationGracePeriodSeconds: 5,
                  containers: [
                    {
                      name: 'server',
                      image: one.image('extensions:1'),
                      args: [`/srv/${name}-server.mjs`],
                      env: [{ name: 'SIDECAR_IMAGE', value: one.image('tools:1') }],
                      ports: [{ containerPort: 8443 }],
                      readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
                      volumeMounts: [{ name: 'certificate', mountPath: '/certs', readOnly: true }],
                    },
                  ],
                  volumes: [{ name: 'certificate', secret: { secretName: `${name}-certificate` } }],
                },
              },
            },
          },
          {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name, namespace: NAMESPACE },
            spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
          },
        );
      }
      // What every extension API server is given: to ask who may do what, and to read whom it may trust.
      await kubectl.run([
        'create',
        'clusterrolebinding',
        'aggregated-delegator',
        '--clusterrole=system:auth-delegator',
        `--serviceaccount=${NAMESPACE}:aggregated`,
      ]);
      await kubectl.run([
        '-n',
        'kube-system',
        'create',
        'rolebinding',
        'aggregated-reader',
        '--role=extension-apiserver-authentication-reader',
        `--serviceaccount=${NAMESPACE}:aggregated`,
      ]);
      for (const name of ['webhook', 'aggregated'])
        await kubectl.run(['-n', NAMESPACE, 'rollout', 'status', `deployment/${name}`, '--timeout=60s']);
    });
    afterAll(() => one?.[Symbol.asyncDispose]());

    describe('admission webhooks', () => {
      const rules = [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE', 'DELETE'], resources: ['pods', 'configmaps'] },
      ];
      const webhook = (name: string, path: string) => ({
        name,
        rules,
        clientConfig: { service: serviceOf('webhook', path), caBundle },
        namespaceSelector: { matchLabels: { reviewed: 'yes' } },
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 5,
      });

      beforeAll(async () => {
        await apply(
          {
            apiVersion: 'admissionregistration.k8s.io/v1',
            kind: 'MutatingWebhookConfiguration',
            metadata: { name: 'team' },
            webhooks: [webhook('mutate.team.example.com', '/mutate')],
          },
          {
            apiVersion: 'admissionregistration.k8s.io/v1',
            kind: 'ValidatingWebhookConfiguration',
            metadata: { name: 'team' },
            webhooks: [webhook('validate.team.example.com', '/validate')],
          },
          { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'reviewed', labels: { reviewed: 'yes' } } },
          { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'unreviewed' } },
        );
        await kubectl.run(['-n', 'reviewed', 'wait', '--for=create', 'serviceaccount/default', '--timeout=20s']);
      });

      it('inject a sidecar into Pods, which runs', async () => {
        const pod = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'app' },
          spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'app', image: one.image('tools:1') }] },
        };
        await kubectl.run(['-n', 'reviewed', 'apply', '-f', '-'], { input: JSON.stringify(pod) });
        await kubectl.run(['-n', 'reviewed', 'wait', '--for=condition=Ready', 'pod/app', '--timeout=60s']);
        expect(
          await kubectl.run([
            '-n',
            'reviewed',
            'get',
            'pod',
            'app',
            '-o',
            'jsonpath={.spec.containers[*].name} {.metadata.labels.seen-by}',
          ]),
        ).toBe('app side webhook');
      });

      it('refuse with their own words, warn, and stay out of namespaces that they do not select', async () => {
        const create = (namespace: string, name: string, label: string): Promise<string> =>
          kubectl.run(['-n', namespace, 'apply', '-f', '-'], {
            input: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { [label]: 'yes' } } }),
          });
        const refusal = await create('reviewed', 'refused', 'forbidden').catch(({ message }: Error) => message);
        expect(refusal).toContain('admission webhook "validate.team.example.com" denied the request: not even for kubernetes-admin');
        await create('reviewed', 'odd', 'odd');
        expect(await kubectl.run(['-n', 'reviewed', 'get', 'configmap', 'odd', '-o', 'jsonpath={.metadata.labels.seen-by}'])).toBe(
          'webhook',
        );
        await create('unreviewed', 'free', 'forbidden');
        expect(await kubectl.run(['-n', 'unreviewed', 'get', 'configmap', 'free', '-o', 'jsonpath={.metadata.labels.seen-by}'])).toBe('');
      });

      it('fail closed, or open where that was asked for, while their server is away', async () => {
        await kubectl.run(['-n', NAMESPACE, 'scale', 'deployment/webhook', '--replicas=0']);
        const make = (name: string): Promise<string> => kubectl.run(['-n', 'reviewed', 'create', 'configmap', name]);
        const failure = await eventually('the webhook to be away', async () => {
          const said = await make('never').then(
            () => kubectl.run(['-n', 'reviewed', 'delete', 'configmap', 'never', '--ignore-not-found']).catch(() => ''),
            ({ message }: Error) => message,
          );
          return said.includes('failed calling webhook') ? said : undefined;
        });
        expect(failure).toContain('failed calling webhook "mutate.team.example.com"');
        for (const kind of ['mutatingwebhookconfiguration', 'validatingwebhookconfiguration'])
          await kubectl.run([
            'patch',
            kind,
            'team',
            '--type=json',
            '-p',
            '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]',
          ]);
        await make('open');
        await kubectl.run(['delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'team']);
        await kubectl.run(['-n', NAMESPACE, 'scale', 'deployment/webhook', '--replicas=1']);
        await kubectl.run(['-n', NAMESPACE, 'rollout', 'status', 'deployment/webhook', '--timeout=60s']);
      });
    });

    it('converts custom objects between versions', async () => {
      const version = (name: string, spec: object, storage: boolean) => ({
        name,
        served: true,
        storage,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: spec } } } },
      });
      const watts = { watts: { type: 'integer' } };
      await apply({
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: 'lamps.team.example.com' },
        spec: {
          group: 'team.example.com',
          scope: 'Namespaced',
          names: { plural: 'lamps', singular: 'lamp', kind: 'Lamp' },
          versions: [version('v1', watts, true), version('v2', { power: { type: 'object', properties: watts } }, false)],
          conversion: {
            strategy: 'Webhook',
            webhook: { conversionReviewVersions: ['v1'], clientConfig: { service: serviceOf('webhook', '/convert'), caBundle } },
          },
        },
      });
      await kubectl.run(['wait', '--for=condition=Established', 'crd/lamps.team.example.com', '--timeout=20s']);
      const lamp = (name: string, v: string, spec: object) => ({
        apiVersion: `team.example.com/${v}`,
        kind: 'Lamp',
        metadata: { name, namespace: 'default' },
        spec,
      });
      await apply(lamp('old', 'v1', { watts: 60 }), lamp('new', 'v2', { power: { watts: 7 } }));
      expect(
        await kubectl.run([
          'get',
          'lamps.v2.team.example.com',
          '-o',
          'jsonpath={range .items[*]}{.metadata.name}={.spec.power.watts} {end}',
        ]),
      ).toBe('new=7 old=60 ');
      expect(
        await kubectl.run(['get', 'lamps.v1.team.example.com', '-o', 'jsonpath={range .items[*]}{.metadata.name}={.spec.watts} {end}']),
      ).toBe('new=7 old=60 ');
    });

    describe('an aggregated API server', () => {
      beforeAll(async () => {
        await apply({
          apiVersion: 'apiregistration.k8s.io/v1',
          kind: 'APIService',
          metadata: { name: 'v1.clocks.example.com' },
          spec: {
            group: 'clocks.example.com',
            version: 'v1',
            groupPriorityMinimum: 1000,
            versionPriority: 15,
            service: { namespace: NAMESPACE, name: 'aggregated', port: 443 },
            caBundle,
          },
        });
        await kubectl.run(['wait', '--for=condition=Available', 'apiservice/v1.clocks.example.com', '--timeout=30s']);
      });

      it('is found, explained and asked like any other', async () => {
        expect(await kubectl.run(['api-resources', '--api-group=clocks.example.com'])).toMatch(
          /clocks\s+clk\s+clocks\.example\.com\/v1\s+true\s+Clock/,
        );
        const clock = {
          apiVersion: 'clocks.example.com/v1',
          kind: 'Clock',
          metadata: { name: 'hall', namespace: 'default' },
          spec: { zone: 'Asia/Seoul' },
        };
        await kubectl.run(['create', '-f', '-'], { input: JSON.stringify(clock) });
        expect(await kubectl.run(['get', 'clk', 'hall', '-o', 'jsonpath={.spec.zone} {.metadata.annotations.made-by}'])).toBe(
          'Asia/Seoul kubernetes-admin',
        );
        expect(await kubectl.run(['explain', 'clocks.spec.zone'])).toContain('Zone that the clock shows the time of.');
        await using watch = await kubectl.start(['get', 'clocks', '-w', '-o', 'name']);
        await watch.waitForLine(/clock\.clocks\.example\.com\/hall/);
        await kubectl.run(['create', '-f', '-'], { input: JSON.stringify({ ...clock, metadata: { ...clock.metadata, name: 'kitchen' } }) });
        await watch.waitForLine(/clock\.clocks\.example\.com\/kitchen/);
      });

      it('knows who asks, and lets nobody in whom the cluster would not', async () => {
        const asNobody = ['--as=nobody', '-n', 'default'];
        expect(await kubectl.fails(['get', 'clocks', ...asNobody])).toContain(
          'clocks.clocks.example.com is forbidden: User "nobody" cannot list resource "clocks"',
        );
        await kubectl.run(['-n', 'default', 'create', 'role', 'clock-reader', '--verb=list', '--resource=clocks.clocks.example.com']);
        await kubectl.run(['-n', 'default', 'create', 'rolebinding', 'clock-reader', '--role=clock-reader', '--user=nobody']);
        expect(await kubectl.run(['get', 'clocks', ...asNobody, '-o', 'name'])).toContain('hall');
        // Straight to the server, past the main one, nobody is anybody.
        const address = await kubectl.run(['-n', NAMESPACE, 'get', 'service', 'aggregated', '-o', 'jsonpath={.spec.clusterIP}']);
        const tools = {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'tools' },
          spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'tools', image: one.image('tools:1') }] },
        };
        await kubectl.apply(JSON.stringify(tools));
        await one.ready('tools');
        const path = '/apis/clocks.example.com/v1/clocks';
        expect(
          await one.inside(
            'tools',
            `curl -sk -H "X-Remote-User: kubernetes-admin" -H "X-Remote-Group: system:masters" https://${address}${path}`,
          ),
        ).toContain('Unauthorized');
      });

      it('is said to be unavailable while it is, and hurts nobody else', async () => {
        await kubectl.run(['-n', NAMESPACE, 'scale', 'deployment/aggregated', '--replicas=0']);
        await kubectl.run(['wait', '--for=condition=Available=False', 'apiservice/v1.clocks.example.com', '--timeout=60s']);
        expect(await kubectl.run(['get', 'apiservice', 'v1.clocks.example.com'])).toMatch(/aggregated\s+False \(\w+\)/);
        expect(await kubectl.fails(['get', '--raw', '/apis/clocks.example.com/v1/clocks'])).toMatch(
          /unable to handle the request|unavailable/i,
        );
        await kubectl.run(['get', 'configmaps']);
        await kubectl.run(['create', 'namespace', 'meanwhile']);
        await kubectl.run(['-n', NAMESPACE, 'scale', 'deployment/aggregated', '--replicas=1']);
        await kubectl.run(['wait', '--for=condition=Available', 'apiservice/v1.clocks.example.com', '--timeout=60s']);
        await kubectl.run(['delete', 'apiservice', 'v1.clocks.example.com']);
        await kubectl.run(['delete', 'namespace', 'meanwhile', '--timeout=60s']);
      });
    });
  },
);
