import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseResolvConf } from './host-resolver.ts';
import { loadTables, saveTables, type Tables } from './saved-tables.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dure-tables-'));
});
afterEach(() => rmSync(directory, { recursive: true }));
const tables: Tables = { services: { services: [], zone: 'a' }, zone: { clusterDomain: 'cluster.local', services: [] } };

describe('saved tables', () => {
  it('come back as they went, and leave one file', () => {
    const path = join(directory, 'proxy', 'tables.json');
    saveTables(path, tables);
    saveTables(path, tables);
    expect(loadTables(path)).toEqual(tables);
    expect(readdirSync(join(directory, 'proxy'))).toEqual(['tables.json']);
  });

  it.each(['', '{"version":1', '{"version":99}', 'null'])('are ignored when the file says %j', (text) => {
    const path = join(directory, 'tables.json');
    expect(loadTables(path)).toBeUndefined();
    writeFileSync(path, text);
    expect(loadTables(path)).toBeUndefined();
  });
});

describe("the host's resolvers", () => {
  it('are its nameserver lines, at most three, without the own address', () => {
    const text =
      '# nameserver 192.0.2.9\nsearch x\nnameserver 10.43.0.10\nnameserver 192.0.2.1\n  nameserver fd00::1\nnameserver no\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n';
    expect(parseResolvConf(text, ['10.43.0.10'])).toEqual(['192.0.2.1', 'fd00::1', '192.0.2.3']);
  });
});
