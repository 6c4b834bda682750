import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { builtinKinds, KindRegistry } from '@dure/api';
import { database, databaseDefinition, plainDefinition, startTestServer, type TestServer } from '@dure/apiserver/testing';
import { kubectlPath, kubectlUnavailable } from '@dure/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const unavailable = await kubectlUnavailable();

describe.skipIf(unavailable !== undefined)(
  `kubectl on custom resources${unavailable === undefined ? '' : ` [skipped: ${unavailable}]`}`,
  () => {
    let server: TestServer;
    let directory: string;
    let program: string;

    beforeAll(async () => {
      program = await kubectlPath();
      server = await startTestServer(new KindRegistry(builtinKinds));
      directory = await mkdtemp(join(tmpdir(), `dure-kubectl-crd-${process.pid}-`));
      await writeFile(join(directory, 'kubeconfig'), server.kubeconfig);
      await write('crd.yaml', databaseDefinition());
      expect(await kubectl('apply', '-f', file('crd.yaml'))).toBe(
        'customresourcedefinition.apiextensions.k8s.io/databases.acid.example.org created\n',
      );
      expect(await kubectl('wait', '--for=condition=Established', '--timeout=5s', 'crd/databases.acid.example.org')).toContain(
        'condition met',
      );
    }, 30_000);

    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    });

    const file = (name: string): string => join(directory, name);
    const write = (name: string, object: unknown): Promise<void> => writeFile(file(name), JSON.stringify(object));

    async function kubectl(...args: string[]): Promise<string> {
      const env = { ...process.env, KUBECONFIG: file('kubeconfig'), HOME: directory };
      const { stdout } = await run(program, ['--request-timeout=20s', ...args], { env, timeout: 30_000 });
      return stdout;
    }

    const failure = (...args: string[]): Promise<string> =>
      kubectl(...args).then(
        (stdout) => `succeeded: ${stdout}`,
        (error: { stderr: string }) => error.stderr,
      );

    it('applies the definition again without change', async () => {
      expect(await kubectl('apply', '-f', file('crd.yaml'))).toContain('unchanged');
      expect(await kubectl('get', 'crd')).toMatch(/NAME\s+CREATED AT\ndatabases\.acid\.example\.org\s+\d{4}-/);
    });

    it('creates, gets by short name, wide and by category, patches and deletes', async () => {
      await write('one.yaml', database('one', { instances: 2, image: 'pg:16', targetPort: 5432 }));
      expect(await kubectl('create', '-f', file('one.yaml'))).toBe('database.acid.example.org/one created\n');
      expect(await kubectl('get', 'db')).toMatch(/NAME\s+INSTANCES\s+READY\s+AGE\none\s+2\s+\d+s/);
      expect(await kubectl('get', 'db', 'one', '-o', 'wide')).toMatch(/NAME\s+INSTANCES\s+READY\s+IMAGE\s+AGE\none\s+2\s+pg:16\s+\d+s/);
      expect(await kubectl('get', 'all')).toContain('database.acid.example.org/one');
      expect(await kubectl('patch', 'db', 'one', '--type=merge', '-p', '{"spec":{"instances":3}}')).toContain('patched');
      expect(await kubectl('scale', '--replicas=4', 'db/one')).toContain('scaled');
      expect(await kubectl('get', 'databases.v1beta1.acid.example.org', 'one', '-o', 'jsonpath={.apiVersion} {.spec.instances}')).toBe(
        'acid.example.org/v1beta1 4',
      );
      const status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}';
      await kubectl('patch', 'db', 'one', '--subresource=status', '--type=merge', '-p', status);
      expect(await kubectl('wait', '--for=condition=Ready', '--timeout=5s', 'db/one')).toContain('condition met');
      expect(await kubectl('delete', 'db', 'one')).toContain('deleted');
    });

    it('applies on the client and on the server, diffs and edits labels', async () => {
      const two = (owner: string): unknown => database('two', { databases: [{ name: 'x', owner }] });
      await write('two.yaml', two('me'));
      expect(await kubectl('apply', '-f', file('two.yaml'))).toContain('created');
      expect(await kubectl('apply', '-f', file('two.yaml'))).toContain('unchanged');
      await write('two.yaml', two('you'));
      expect(await kubectl('apply', '-f', file('two.yaml'))).toContain('configured');
      expect(await kubectl('apply', '--server-side', '--force-conflicts', '-f', file('two.yaml'))).toContain('serverside-applied');
      expect(await kubectl('label', 'db', 'two', 'tier=gold')).toContain('labeled');
      expect(await kubectl('get', 'db', '-l', 'tier=gold', '-o', 'name')).toBe('database.acid.example.org/two\n');
    });

    it('explains what the schema says', async () => {
      expect(await kubectl('explain', 'db')).toContain('A cluster of database servers.');
      const field = await kubectl('explain', 'databases.spec.instances');
      expect(field).toContain('How many servers.');
      expect(field).toMatch(/FIELD: instances <integer>/);
      expect(await kubectl('explain', 'db', '--recursive')).toMatch(/extensions\s+<\[\]string>/);
    });

    it('shows what is wrong, by field', async () => {
      await write('bad.yaml', database('bad', { instances: 500, unknown: 1 }));
      expect(await failure('create', '-f', file('bad.yaml'))).toContain('unknown field "spec.unknown"');
      expect(await failure('create', '--validate=ignore', '-f', file('bad.yaml'))).toContain(
        'spec.instances: Invalid value: 500: spec.instances in body should be less than or equal to 99',
      );
      await write('rule.yaml', database('rule', { minSyncReplicas: 2 }));
      expect(await failure('apply', '-f', file('rule.yaml'))).toContain('minSyncReplicas must not exceed maxSyncReplicas');
    });

    it('takes any field where the schema lets any pass', async () => {
      await write('plain.yaml', plainDefinition('things', 'Thing', 'any.example.org', 'Namespaced'));
      await kubectl('create', '-f', file('plain.yaml'));
      await kubectl('wait', '--for=condition=Established', '--timeout=5s', 'crd/things.any.example.org');
      await write('thing.yaml', { apiVersion: 'any.example.org/v1', kind: 'Thing', metadata: { name: 't' }, spec: { a: [{ b: 1 }] } });
      expect(await kubectl('apply', '-f', file('thing.yaml'))).toContain('created');
      expect(await kubectl('explain', 'things')).toContain('KIND:       Thing');
      expect(await kubectl('api-resources', '--api-group=any.example.org')).toMatch(/things\s+any\.example\.org\/v1\s+true\s+Thing/);
      expect(await kubectl('delete', 'crd', 'things.any.example.org', '--timeout=10s')).toContain('deleted');
      expect(await failure('get', 'things')).toMatch(/NotFound|doesn't have a resource type/);
    });
  },
);
