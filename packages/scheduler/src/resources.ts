import { type Container, type Pod, parseBytes, parseMillis } from '@dure/api';

/** Amounts as numbers: cpu in thousandths, everything else in whole units. Numbers are exact far beyond any machine. */
export interface Resources {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly ephemeralBytes: number;
  /** Extended resources (`example.com/gpu`) and huge pages, by name. */
  readonly others: ReadonlyMap<string, number>;
}

const NO_OTHERS: ReadonlyMap<string, number> = new Map();
export const NO_RESOURCES: Resources = { cpuMillis: 0, memoryBytes: 0, ephemeralBytes: 0, others: NO_OTHERS };

/** A container that asks for nothing still uses something; scores (never filters) count it with this. @see upstream's `GetNonzeroRequests` */
const DEFAULT_CPU_MILLIS = 100;
const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;

type ResourceList = Readonly<Record<string, string>>;

/** A resource list of the API as numbers. Entries that are no quantity count as 0: the server refused them long before. */
export function parseResources(list: ResourceList | undefined): Resources {
  if (list === undefined) return NO_RESOURCES;
  let others: Map<string, number> | undefined;
  let cpuMillis = 0;
  let memoryBytes = 0;
  let ephemeralBytes = 0;
  for (const [name, quantity] of Object.entries(list)) {
    if (name === 'cpu') cpuMillis = amount(parseMillis, quantity);
    else if (name === 'memory') memoryBytes = amount(parseBytes, quantity);
    else if (name === 'ephemeral-storage') ephemeralBytes = amount(parseBytes, quantity);
    else if (name !== 'pods') {
      others ??= new Map();
      others.set(name, amount(parseBytes, quantity));
    }
  }
  return { cpuMillis, memoryBytes, ephemeralBytes, others: others ?? NO_OTHERS };
}

/**
 * What a node must have free for `pod`: the larger of what its containers and sidecars need together and what each init container needs
 * beside the sidecars started before it, plus the overhead. Requests on the Pod itself replace the sum, resource by resource.
 */
export function podRequests({ spec }: Pod): Resources {
  return requestsOf(spec, ({ resources }) => parseResources(resources?.requests));
}

/** {@link podRequests}, with a small amount for containers that ask for no cpu or memory. */
export function nonZeroRequests({ spec }: Pod): Pick<Resources, 'cpuMillis' | 'memoryBytes'> {
  return requestsOf(spec, ({ resources }) => {
    const parsed = parseResources(resources?.requests);
    return {
      ...parsed,
      cpuMillis: resources?.requests?.cpu === undefined ? DEFAULT_CPU_MILLIS : parsed.cpuMillis,
      memoryBytes: resources?.requests?.memory === undefined ? DEFAULT_MEMORY_BYTES : parsed.memoryBytes,
    };
  });
}

export function addResources(a: Resources, b: Resources, sign: 1 | -1 = 1): Resources {
  return {
    cpuMillis: a.cpuMillis + sign * b.cpuMillis,
    memoryBytes: a.memoryBytes + sign * b.memoryBytes,
    ephemeralBytes: a.ephemeralBytes + sign * b.ephemeralBytes,
    others: b.others.size === 0 ? a.others : combine(a.others, b.others, (x, y) => x + sign * y),
  };
}

function requestsOf(spec: Pod['spec'], requests: (container: Container) => Resources): Resources {
  let running = spec.containers.reduce((sum, container) => addResources(sum, requests(container)), NO_RESOURCES);
  let sidecars = NO_RESOURCES;
  let starting = NO_RESOURCES;
  for (const container of spec.initContainers ?? []) {
    const own = requests(container);
    if (container.restartPolicy === 'Always') {
      running = addResources(running, own);
      sidecars = addResources(sidecars, own);
      starting = largest(starting, sidecars);
    } else {
      starting = largest(starting, addResources(sidecars, own));
    }
  }
  const total = override(largest(running, starting), spec.resources?.requests);
  return addResources(total, parseResources(spec.overhead));
}

function override(total: Resources, requests: ResourceList | undefined): Resources {
  if (requests === undefined) return total;
  const own = parseResources(requests);
  return {
    cpuMillis: requests.cpu === undefined ? total.cpuMillis : own.cpuMillis,
    memoryBytes: requests.memory === undefined ? total.memoryBytes : own.memoryBytes,
    ephemeralBytes: requests['ephemeral-storage'] === undefined ? total.ephemeralBytes : own.ephemeralBytes,
    others: own.others.size === 0 ? total.others : new Map([...total.others, ...own.others]),
  };
}

function largest(a: Resources, b: Resources): Resources {
  return {
    cpuMillis: Math.max(a.cpuMillis, b.cpuMillis),
    memoryBytes: Math.max(a.memoryBytes, b.memoryBytes),
    ephemeralBytes: Math.max(a.ephemeralBytes, b.ephemeralBytes),
    others: a.others.size === 0 && b.others.size === 0 ? NO_OTHERS : combine(a.others, b.others, Math.max),
  };
}

function combine(
  a: ReadonlyMap<string, number>,
  b: ReadonlyMap<string, number>,
  join: (x: number, y: number) => number,
): Map<string, number> {
  const result = new Map(a);
  for (const [name, value] of b) result.set(name, join(result.get(name) ?? 0, value));
  return result;
}

function amount(parse: (text: string) => bigint, quantity: string): number {
  try {
    return Number(parse(quantity));
  } catch {
    return 0;
  }
}
