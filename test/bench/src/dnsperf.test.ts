import { describe, expect, it } from 'vitest';
import { parseDnsperf } from './dnsperf.ts';

const REPORT = `Statistics:

  Queries sent:         148062
  Queries completed:    148060 (100.00%)
  Queries lost:         2 (0.00%)

  Response codes:       NOERROR 148000 (99.96%), NXDOMAIN 60 (0.04%)
  Average packet size:  request 53, response 69
  Run time (s):         3.000100
  Queries per second:   49352.021599

  Average Latency (s):  0.001946 (min 0.000030, max 0.041000)
`;

describe('parseDnsperf', () => {
  it('reads what happened', () => {
    expect(parseDnsperf(REPORT)).toEqual({
      completed: 148_060,
      lost: 2,
      queriesPerSecond: 49_352.021599,
      codes: { NOERROR: 148_000, NXDOMAIN: 60 },
    });
  });

  it('takes nothing else for a report', () => {
    expect(() => parseDnsperf('Error: unable to connect\n')).toThrow('not a report of dnsperf');
  });
});
