import { expect, it } from 'vitest';
import { upgradedSwagger } from './swagger-upgrade.ts';

it('is about the group version, and says the same in the newer words', () => {
  const gvk = [{ group: 'a.b', version: 'v1', kind: 'X' }];
  const ref = { $ref: '#/definitions/X' };
  const document = upgradedSwagger(
    {
      swagger: '2.0',
      info: { title: 'T', version: '1' },
      paths: {
        '/apis/a.b/v1/xs/{name}': {
          parameters: [{ name: 'name', in: 'path', required: true, type: 'string', uniqueItems: true, description: 'Its name.' }],
          put: {
            operationId: 'putX',
            consumes: ['application/json'],
            produces: ['application/json', 'application/yaml'],
            schemes: ['https'],
            'x-kubernetes-action': 'put',
            parameters: [
              { name: 'body', in: 'body', required: true, schema: ref },
              { name: 'dryRun', in: 'query', type: 'string' },
            ],
            responses: { 200: { description: 'OK', schema: ref }, 401: { description: 'Unauthorized' } },
          },
        },
        '/apis/a.b/v2/ys': { get: { responses: {} } },
      },
      definitions: {
        X: { properties: { meta: { $ref: '#/definitions/Meta' } }, 'x-kubernetes-group-version-kind': gvk },
        Meta: { type: 'object' },
        Alone: { type: 'object', 'x-kubernetes-group-version-kind': gvk },
        Y: { type: 'object', 'x-kubernetes-group-version-kind': [{ group: 'a.b', version: 'v2', kind: 'Y' }] },
      },
    },
    'a.b',
    'v1',
  );
  const content = { schema: { $ref: '#/components/schemas/X' } };
  expect(document).toEqual({
    openapi: '3.0.0',
    info: { title: 'T', version: '1' },
    paths: {
      '/apis/a.b/v1/xs/{name}': {
        parameters: [{ name: 'name', in: 'path', required: true, description: 'Its name.', schema: { type: 'string', uniqueItems: true } }],
        put: {
          operationId: 'putX',
          'x-kubernetes-action': 'put',
          parameters: [{ name: 'dryRun', in: 'query', schema: { type: 'string' } }],
          requestBody: { required: true, content: { 'application/json': content } },
          responses: {
            200: { description: 'OK', content: { 'application/json': content, 'application/yaml': content } },
            401: { description: 'Unauthorized' },
          },
        },
      },
    },
    components: {
      schemas: {
        Alone: { type: 'object', 'x-kubernetes-group-version-kind': gvk },
        Meta: { type: 'object' },
        X: { properties: { meta: { $ref: '#/components/schemas/Meta' } }, 'x-kubernetes-group-version-kind': gvk },
      },
    },
  });
});
