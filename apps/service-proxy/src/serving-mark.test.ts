import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { servingMark } from './serving-mark.ts';

const directory = mkdtempSync(join(tmpdir(), 'dure-mark-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('stands only when there is a listener and a table, and never for a former process', () => {
  const path = join(directory, 'serving');
  writeFileSync(path, '1\n');
  const mark = servingMark(path, 42);
  expect(existsSync(path)).toBe(false);
  mark.listening();
  expect(existsSync(path)).toBe(false);
  mark.informed();
  expect(readFileSync(path, 'utf8')).toBe('42\n');
});
