import { describe, expect, it } from 'vitest';
import { invalid, required } from './field-error.ts';
import * as status from './status.ts';

const pods = { group: '', resource: 'pods' };
const deployments = { group: 'apps', resource: 'deployments' };

describe('failed requests', () => {
  it.each([
    [status.notFound(pods, 'web-0'), 404, 'NotFound', 'pods "web-0" not found'],
    [status.notFound(deployments, 'web'), 404, 'NotFound', 'deployments.apps "web" not found'],
    [status.alreadyExists(pods, 'a'), 409, 'AlreadyExists', 'pods "a" already exists'],
    [
      status.conflict(pods, 'x'),
      409,
      'Conflict',
      'Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes to the latest version and try again',
    ],
    [status.forbiddenRequest(pods, '', 'no'), 403, 'Forbidden', 'pods is forbidden: no'],
    [status.forbiddenRequest(pods, 'a', 'no'), 403, 'Forbidden', 'pods "a" is forbidden: no'],
    [status.forbiddenRequest({ group: '', resource: '' }, '', 'no'), 403, 'Forbidden', 'forbidden: no'],
    [status.methodNotAllowed(pods, 'delete'), 405, 'MethodNotAllowed', 'delete is not supported on resources of kind "pods"'],
    [status.timeout('too slow', 1), 504, 'Timeout', 'Timeout: too slow'],
    [
      status.serverTimeout(pods, 'list', 1),
      500,
      'ServerTimeout',
      'The list operation against pods could not be completed at this time, please try again.',
    ],
    [status.internalError(new Error('x')), 500, 'InternalError', 'Internal error occurred: x'],
    [status.requestEntityTooLarge('limit is 3145728'), 413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728'],
  ] as const)('%s', (error, code, reason, message) => {
    expect(error.status).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message });
    expect(error.message).toBe(message);
  });

  it('gives Invalid a cause for each fault, and joins their messages', () => {
    const one = status.invalidObject({ group: '', kind: 'Pod' }, 'a', [required('spec.containers')]);
    expect(one.message).toBe('Pod "a" is invalid: spec.containers: Required value');
    const two = status.invalidObject({ group: 'apps', kind: 'Deployment' }, 'a', [required('x'), invalid('y', 'v', 'no'), required('x')]);
    expect(two.message).toBe('Deployment.apps "a" is invalid: [x: Required value, y: Invalid value: "v": no]');
    expect(two.status.details).toEqual({
      name: 'a',
      group: 'apps',
      kind: 'Deployment',
      causes: [
        { reason: 'FieldValueRequired', message: 'Required value', field: 'x' },
        { reason: 'FieldValueInvalid', message: 'Invalid value: "v": no', field: 'y' },
        { reason: 'FieldValueRequired', message: 'Required value', field: 'x' },
      ],
    });
  });

  it('is told apart by reason, and by code where a server gave no reason', () => {
    expect(status.isNotFound(status.notFound(pods, 'a'))).toBe(true);
    expect(status.isConflict(status.alreadyExists(pods, 'a'))).toBe(false);
    expect(status.isAlreadyExists(status.alreadyExists(pods, 'a'))).toBe(true);
    expect(status.isExpired(status.expired('old'))).toBe(true);
    expect(status.isTooManyRequests(status.tooManyRequests('wait', 3))).toBe(true);
    expect(status.tooManyRequests('wait', 3).retryAfterSeconds).toBe(3);
    expect(status.isNotFound(new Error('x'))).toBe(false);
    const bare = new status.StatusError({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code: 404 });
    expect(status.isNotFound(bare)).toBe(true);
  });

  it('reads a Status out of an answer, and nothing else', () => {
    expect(status.statusFrom({ kind: 'Status', apiVersion: 'v1', code: 404, reason: 'NotFound' })?.code).toBe(404);
    expect(status.statusFrom({ kind: 'Pod', apiVersion: 'v1' })).toBeUndefined();
    expect(status.genericStatus(500, 'GET', pods, 'a', 'boom').message).toBe(
      'an error on the server ("boom") has prevented the request from succeeding (get pods a)',
    );
  });
});
