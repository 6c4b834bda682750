import { type FieldError, invalid } from '@dure/api';

/** From what allows everything to what allows least. */
export const LEVELS = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof LEVELS)[number];

/** A level as some release 1.MINOR understood it. */
export interface Standard {
  readonly level: Level;
  readonly minor: number | 'latest';
}

/** What a namespace says of Pods. */
export interface NamespacePolicy {
  /** Held to: others are refused. */
  readonly enforce: Standard;
  /** Noted in the audit log. */
  readonly audit: Standard;
  /** Told to whoever writes. */
  readonly warn: Standard;
}

const PREFIX = 'pod-security.kubernetes.io/';
const EVERYTHING: Standard = { level: 'privileged', minor: 'latest' };

/** What holds where nobody says anything. */
export const NO_POLICY: NamespacePolicy = { enforce: EVERYTHING, audit: EVERYTHING, warn: EVERYTHING };

/**
 * The policy in a namespace's labels, and what is wrong with them. There is always a policy: the strictest to enforce where a label cannot be read.
 * @param defaults For what the labels do not say.
 */
export function policyOf(
  labels: Readonly<Record<string, string>>,
  defaults: NamespacePolicy = NO_POLICY,
): { readonly policy: NamespacePolicy; readonly faults: readonly FieldError[] } {
  const faults: FieldError[] = [];
  const read = <T>(name: string, parse: (text: string) => T | undefined, what: string): T | 'absent' | 'unreadable' => {
    const text = labels[`${PREFIX}${name}`];
    if (text === undefined) return 'absent';
    const value = parse(text);
    if (value === undefined) faults.push(invalid(`metadata.labels[${PREFIX}${name}]`, text, what));
    return value ?? 'unreadable';
  };
  const standard = (mode: 'enforce' | 'audit' | 'warn', unreadable: Level) => {
    const level = read(mode, parseLevel, `must be one of ${LEVELS.join(', ')}`);
    const minor = read(`${mode}-version`, parseMinor, 'must be "latest" or "v1.x"');
    return {
      named: level,
      isVersioned: minor !== 'absent',
      level: level === 'absent' ? defaults[mode].level : level === 'unreadable' ? unreadable : level,
      minor: minor === 'absent' ? defaults[mode].minor : minor === 'unreadable' ? EVERYTHING.minor : minor,
    };
  };
  const enforce = standard('enforce', 'restricted');
  const audit = standard('audit', 'privileged');
  const warn = standard('warn', 'privileged');
  // Who enforces something wants to be told of it too, in what makes Pods: those are not refused.
  const isEnforced = enforce.named !== 'absent' && enforce.named !== 'unreadable';
  const warnsAsEnforced = isEnforced && warn.named === 'absent' && isStricter(enforce.level, warn.level);
  return {
    policy: {
      enforce: { level: enforce.level, minor: enforce.minor },
      audit: { level: audit.level, minor: audit.minor },
      warn: warnsAsEnforced
        ? { level: enforce.level, minor: warn.isVersioned ? warn.minor : enforce.minor }
        : { level: warn.level, minor: warn.minor },
    },
    faults,
  };
}

export function isStricter(level: Level, than: Level): boolean {
  return LEVELS.indexOf(level) > LEVELS.indexOf(than);
}

export function sameStandard(one: Standard, other: Standard): boolean {
  return one.level === other.level && one.minor === other.minor;
}

/** `restricted:v1.31`. */
export function showStandard({ level, minor }: Standard): string {
  return `${level}:${minor === 'latest' ? minor : `v1.${minor}`}`;
}

export function parseLevel(text: string): Level | undefined {
  return LEVELS.find((level) => level === text);
}

export function parseMinor(text: string): Standard['minor'] | undefined {
  if (text === 'latest') return text;
  const [, minor] = /^v1\.(0|[1-9]\d*)$/.exec(text) ?? [];
  return minor === undefined ? undefined : Number(minor);
}
