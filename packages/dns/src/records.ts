/** Resource records as data. Names have no dot at the end. */
export type RecordData =
  | { readonly type: 'A' | 'AAAA' | 'CNAME' | 'PTR' | 'NS'; readonly data: string }
  | { readonly type: 'TXT'; readonly data: string }
  | {
      readonly type: 'SRV';
      readonly data: { readonly priority: number; readonly weight: number; readonly port: number; readonly target: string };
    }
  | {
      readonly type: 'SOA';
      readonly data: {
        readonly mname: string;
        readonly rname: string;
        readonly serial: number;
        readonly refresh: number;
        readonly retry: number;
        readonly expire: number;
        readonly minimum: number;
      };
    };

export type DnsRecord = RecordData & { readonly name: string; readonly ttl: number };

/** `type` as its usual name, or `UNKNOWN_<number>`. */
export interface Question {
  readonly name: string;
  readonly type: string;
}

/** `10.42.1.5` to `5.1.42.10.in-addr.arpa`; 32 nibbles under `ip6.arpa` for IPv6 given in any form that has no dots. */
export function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = (part: string | undefined): string[] => (part ? part.split(':') : []);
  const front = groups(head);
  const back = groups(tail);
  const middle = Array.from({ length: Math.max(8 - front.length - back.length, 0) }, () => '0');
  const nibbles = [...front, ...middle, ...back].map((group) => group.padStart(4, '0')).join('');
  return `${[...nibbles].reverse().join('.')}.ip6.arpa`;
}
