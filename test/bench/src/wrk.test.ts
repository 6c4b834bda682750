import { describe, expect, it } from 'vitest';
import { parseWrk } from './wrk.ts';

const REPORT = `Running 2s test @ http://127.0.0.1:8081/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.58ms    2.94ms  41.52ms   94.01%
    Req/Sec    59.61k     7.91k   71.34k    75.00%
  119207 requests in 2.01s, 24.10MB read
Requests/sec:  59306.44
Transfer/sec:     11.99MB
`;

describe('parseWrk', () => {
  it('reads what happened', () => {
    expect(parseWrk(REPORT)).toEqual({ requests: 119_207, seconds: 2.01, bytes: 24.1 * 2 ** 20, errors: 0 });
  });

  it('counts every kind of failure', () => {
    const failed = REPORT.replace(
      'Requests/sec',
      '  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\nRequests/sec',
    );
    expect(parseWrk(failed).errors).toBe(15);
  });

  it.each([
    ['1.99m', 1.99 * 60],
    ['900.50ms', 0.9005],
  ])('knows that %s are %d seconds', (written, seconds) => {
    expect(parseWrk(REPORT.replace('2.01s', written)).seconds).toBeCloseTo(seconds, 9);
  });

  it('knows sizes up to gigabytes', () => {
    expect(parseWrk(REPORT.replace('24.10MB', '1.50GB')).bytes).toBe(1.5 * 2 ** 30);
  });

  it('takes nothing else for a report', () => {
    expect(() => parseWrk('unable to connect to 127.0.0.1:8081 Connection refused\n')).toThrow('not a report of wrk');
  });
});
