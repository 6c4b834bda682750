import { describe, expect, test } from 'vitest';
import { PlatformUnavailableError } from './errors.ts';
import { choosePlatform, type Platform, renderPlatform, runsOn } from './platform.ts';

function platform(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

const INDEX = [
  'linux/amd64',
  'linux/arm/v5',
  'linux/arm/v6',
  'linux/arm/v7',
  'linux/arm64/v8',
  'linux/386',
  'windows/amd64',
  'unknown/unknown',
];

describe('choosePlatform', () => {
  test.each([
    ['linux/amd64', INDEX, 'linux/amd64'],
    ['linux/arm64', INDEX, 'linux/arm64/v8'],
    ['linux/arm/v7', INDEX, 'linux/arm/v7'],
    ['linux/arm', INDEX, 'linux/arm/v7'],
    ['linux/arm/v6', INDEX, 'linux/arm/v6'],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/arm64', ['linux/amd64', 'linux/arm64'], 'linux/arm64'],
    ['linux/arm64', ['linux/amd64', 'linux/arm'], 'linux/arm'],
    ['linux/amd64', ['linux/386', 'linux/arm64'], 'linux/386'],
    ['linux/riscv64', ['linux/amd64', 'linux/riscv64'], 'linux/riscv64'],
  ])('for %s of %j takes %s', (wanted, index, chosen) => {
    const entries = index.map((text) => ({ platform: platform(text) }));
    expect(renderPlatform(choosePlatform(entries, platform(wanted)).platform ?? platform('/'))).toBe(chosen);
  });

  test('takes the only entry if it names no platform', () => {
    const only = { platform: undefined };
    expect(choosePlatform([only], platform('linux/amd64'))).toBe(only);
  });

  test('an ARMv6 machine is not given ARMv7 code, and the message says what there is', () => {
    const entries = ['linux/arm/v7', 'linux/amd64', 'unknown/unknown'].map((text) => ({ platform: platform(text) }));
    expect(() => choosePlatform(entries, platform('linux/arm/v6'))).toThrow(PlatformUnavailableError);
    expect(() => choosePlatform(entries, platform('linux/arm/v6'))).toThrow('linux/arm/v7, linux/amd64');
  });
});

describe('runsOn', () => {
  test('gives an image that names no architecture the benefit of the doubt', () => {
    expect(runsOn({ os: 'linux', architecture: '' }, platform('linux/arm64'))).toBe(true);
    expect(runsOn(platform('linux/amd64'), platform('linux/arm64'))).toBe(false);
  });
});
