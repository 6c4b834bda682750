import { describe, expect, it } from 'vitest';
import { forwardedHeaders, returnedHeaders } from './tunnel.ts';

describe('headers of a forwarded request', () => {
  const sent = {
    accept: 'application/json',
    authorization: 'Bearer x',
    connection: 'Upgrade',
    cookie: 'a=b',
    // Our HTTP client refuses to send it; the server has answered it.
    expect: '100-continue',
    host: 'api',
    'impersonate-user': 'x',
    upgrade: 'websocket',
    'x-remote-group': 'system:masters',
  };

  it('are those that say nothing of who asks and how', () => {
    expect(forwardedHeaders(sent, false)).toEqual({ accept: 'application/json' });
  });

  it('keep the wish for another protocol where it is forwarded too', () => {
    expect(forwardedHeaders(sent, true)).toEqual({ accept: 'application/json', connection: 'Upgrade', upgrade: 'websocket' });
  });

  it('come back without those of the connection', () => {
    expect(returnedHeaders({ 'transfer-encoding': 'chunked', 'content-length': '1', 'set-cookie': ['a', 'b'], etag: '"x"' })).toEqual({
      'set-cookie': ['a', 'b'],
      etag: '"x"',
    });
  });
});
