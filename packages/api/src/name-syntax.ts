/**
 * The syntax of names in the API. Each function returns what is wrong, in the API's words, and an empty list where all is well.
 * @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
 */

const QUALIFIED = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const QUALIFIED_RULE = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_VALUE = `(${QUALIFIED})?`;
const DNS_1123_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const DNS_1123_SUBDOMAIN = `${DNS_1123_LABEL}(\\.${DNS_1123_LABEL})*`;
const UNDERSCORED_LABEL = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const UNDERSCORED_SUBDOMAIN = `${UNDERSCORED_LABEL}(\\.${UNDERSCORED_LABEL})*`;
const DNS_1035_LABEL = '[a-z]([-a-z0-9]*[a-z0-9])?';
const WILDCARD = `\\*\\.${DNS_1123_SUBDOMAIN}`;
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const HTTP_HEADER = '[-A-Za-z0-9]+';
const PERCENT = '[0-9]+%';
const C_IDENTIFIER = '[A-Za-z_][A-Za-z0-9_]*';
const LABEL_LENGTH_MAX = 63;
const SUBDOMAIN_LENGTH_MAX = 253;

const EXPRESSIONS = {
  qualified: whole(QUALIFIED),
  labelValue: whole(LABEL_VALUE),
  label: whole(DNS_1123_LABEL),
  subdomain: whole(DNS_1123_SUBDOMAIN),
  underscored: whole(UNDERSCORED_SUBDOMAIN),
  label1035: whole(DNS_1035_LABEL),
  wildcard: whole(WILDCARD),
  configKey: whole(CONFIG_KEY),
  header: whole(HTTP_HEADER),
  percent: whole(PERCENT),
  identifier: whole(C_IDENTIFIER),
};

/** A label key, an annotation key, a resource name, a finalizer: an optional DNS subdomain and '/', then up to 63 characters. */
export function checkQualifiedName(value: string): string[] {
  const parts = value.split('/');
  const example = regexRule(QUALIFIED_RULE, QUALIFIED, 'MyName', 'my.name', '123-abc');
  if (parts.length > 2) return [`a qualified name ${example} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  const faults: string[] = [];
  const name = parts[parts.length - 1] ?? '';
  if (parts.length === 2) {
    if (parts[0] === '') faults.push('prefix part must be non-empty');
    else faults.push(...checkDns1123Subdomain(parts[0] ?? '').map((fault) => `prefix part ${fault}`));
  }
  if (name === '') faults.push('name part must be non-empty');
  else if (name.length > LABEL_LENGTH_MAX) faults.push(`name part ${lengthRule(LABEL_LENGTH_MAX)}`);
  if (!EXPRESSIONS.qualified.test(name)) faults.push(`name part ${example}`);
  return faults;
}

/** The value of a label. */
export function checkLabelValue(value: string): string[] {
  const faults: string[] = [];
  if (byteLength(value) > LABEL_LENGTH_MAX) faults.push(lengthRule(LABEL_LENGTH_MAX));
  if (!EXPRESSIONS.labelValue.test(value)) {
    faults.push(
      regexRule(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        LABEL_VALUE,
        'MyValue',
        'my_value',
        '12345',
      ),
    );
  }
  return faults;
}

/** Namespaces, containers, ports' sockets and, since 1.36, Services. */
export function checkDns1123Label(value: string): string[] {
  const faults: string[] = [];
  if (byteLength(value) > LABEL_LENGTH_MAX) faults.push(lengthRule(LABEL_LENGTH_MAX));
  if (!EXPRESSIONS.label.test(value)) {
    if (EXPRESSIONS.subdomain.test(value)) faults.push('must not contain dots');
    else {
      faults.push(
        regexRule(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          DNS_1123_LABEL,
          'my-name',
          '123-abc',
        ),
      );
    }
  }
  return faults;
}

/** Most objects' names. */
export function checkDns1123Subdomain(value: string): string[] {
  return checkSubdomain(value, EXPRESSIONS.subdomain, DNS_1123_SUBDOMAIN);
}

/** What resolvers search besides: names of services (`_sip._tcp.example.com`), and what others call hosts. */
export function checkUnderscoredSubdomain(value: string): string[] {
  return checkSubdomain(value, EXPRESSIONS.underscored, UNDERSCORED_SUBDOMAIN);
}

function checkSubdomain(value: string, expression: RegExp, source: string): string[] {
  const faults: string[] = [];
  if (byteLength(value) > SUBDOMAIN_LENGTH_MAX) faults.push(lengthRule(SUBDOMAIN_LENGTH_MAX));
  if (!expression.test(value)) {
    faults.push(
      regexRule(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        source,
        'example.com',
      ),
    );
  }
  return faults;
}

/** Older and stricter than RFC 1123: starts with a letter. */
export function checkDns1035Label(value: string): string[] {
  const faults: string[] = [];
  if (byteLength(value) > LABEL_LENGTH_MAX) faults.push(lengthRule(LABEL_LENGTH_MAX));
  if (!EXPRESSIONS.label1035.test(value)) {
    faults.push(
      regexRule(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        DNS_1035_LABEL,
        'my-name',
        'abc-123',
      ),
    );
  }
  return faults;
}

/** An Ingress host such as `*.example.com`. */
export function checkWildcardSubdomain(value: string): string[] {
  const faults: string[] = [];
  if (byteLength(value) > SUBDOMAIN_LENGTH_MAX) faults.push(lengthRule(SUBDOMAIN_LENGTH_MAX));
  if (!EXPRESSIONS.wildcard.test(value)) {
    faults.push(
      regexRule(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        WILDCARD,
        '*.example.com',
      ),
    );
  }
  return faults;
}

/** RBAC objects and others that only need to be one path segment. */
export function checkPathSegment(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%'].filter((part) => value.includes(part)).map((part) => `may not contain '${part}'`);
}

/** The name of a container's or Service's port. */
export function checkPortName(value: string): string[] {
  const faults: string[] = [];
  if (value.length > 15) faults.push(lengthRule(15));
  if (!/^[-a-z0-9]+$/.test(value)) faults.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) faults.push('must contain at least one letter (a-z)');
  if (value.includes('--')) faults.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) faults.push('must not begin or end with a hyphen');
  return faults;
}

export function checkPortNumber(value: number): string[] {
  return checkRange(value, 1, 65535);
}

export function checkRange(value: number | bigint, min: number, max: number): string[] {
  return value >= min && value <= max ? [] : [`must be between ${min} and ${max}, inclusive`];
}

/** The name of an environment variable may hold all of printable ASCII but '='. */
export function checkEnvVarName(value: string): string[] {
  const faults: string[] = [];
  if (value === '') faults.push('environment variable name must be non-empty');
  if (!/^[\x20-\x7e]*$/.test(value) || value.includes('=')) {
    faults.push("a valid environment variable name must consist only of printable ASCII characters other than '='");
  }
  return faults;
}

/** A key of a ConfigMap or Secret; it becomes a file name. */
export function checkConfigKey(value: string): string[] {
  const faults: string[] = [];
  if (byteLength(value) > SUBDOMAIN_LENGTH_MAX) faults.push(lengthRule(SUBDOMAIN_LENGTH_MAX));
  if (!EXPRESSIONS.configKey.test(value)) {
    faults.push(
      regexRule(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        CONFIG_KEY,
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    );
  }
  if (value === '.') faults.push("must not be '.'");
  else if (value === '..') faults.push("must not be '..'");
  else if (value.startsWith('..')) faults.push("must not start with '..'");
  return faults;
}

export function checkHttpHeaderName(value: string): string[] {
  if (EXPRESSIONS.header.test(value)) return [];
  return [regexRule("a valid HTTP header must consist of alphanumeric characters or '-'", HTTP_HEADER, 'X-Header-Name')];
}

/** `25%`. */
export function checkPercent(value: string): string[] {
  if (EXPRESSIONS.percent.test(value)) return [];
  return [regexRule("a valid percent string must be a numeric string followed by an ending '%'", PERCENT, '1%', '93%')];
}

export function checkCIdentifier(value: string): string[] {
  if (EXPRESSIONS.identifier.test(value)) return [];
  return [
    regexRule(
      "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
      C_IDENTIFIER,
      'my_name',
      'MY_NAME',
      'MyName',
    ),
  ];
}

/** `generateName` is judged as a prefix: a trailing '-' is what the random suffix follows. */
export function maskTrailingDash(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -1)}a` : prefix;
}

function whole(expression: string): RegExp {
  return new RegExp(`^(?:${expression})$`);
}

function lengthRule(max: number): string {
  return `must be no more than ${max} characters`;
}

function regexRule(rule: string, expression: string, ...examples: readonly string[]): string {
  // The doubled space before a further "or" is what clients see from upstream, too.
  const shown = examples.map((example) => `'${example}', `).join(' or ');
  return `${rule} (e.g. ${shown}regex used for validation is '${expression}')`;
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}
