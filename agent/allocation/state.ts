/**
 * What has been given out, as the file holds it, and how more is given out. Pure.
 *
 * A servicePathId of a deleted chain stays its own (a tombstone): the chain gets it back when it
 * returns, and other chains get it only after the range has been used up once.
 */

import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { SfcError } from '../../errors/index.js';
import { type AddressFamily, parseAddress } from '../../geneve/index.js';
import { PROBE } from '../../maps/index.js';
import { addressAt, isIn, parseServiceCidr, type ServiceRange } from './ranges.js';

/** Last servicePathId that is given out by itself; a manifest may name any up to 16777214, one below that of probes. */
export const LAST_SERVICE_PATH_ID = 1_048_575;

const stateSchema = Type.Object(
  {
    version: Type.Literal(1),
    /** The next servicePathId to try. */
    nextServicePathId: Type.Integer({ minimum: 1, maximum: LAST_SERVICE_PATH_ID + 1 }),
    chains: Type.Record(
      Type.String(),
      Type.Object(
        {
          servicePathId: Type.Integer({ minimum: 1, maximum: 16_777_215 }),
          /** Set while no manifest has the chain; counts deletions, so that the oldest goes first. */
          deleted: Type.Optional(Type.Integer({ minimum: 1 })),
        },
        { additionalProperties: false },
      ),
    ),
    deletions: Type.Integer({ minimum: 0 }),
    /** Address by `namespace/name` of the function's Service. */
    services: Type.Record(Type.String(), Type.String({ format: 'address' })),
    /** Offset in the IPv4 range after the address given out last. */
    nextServiceOffset: Type.Integer({ minimum: 2 }),
    /** The same of the IPv6 range; not there where none has been given out of one. */
    nextServiceOffset6: Type.Optional(Type.Integer({ minimum: 2 })),
  },
  { additionalProperties: false },
);

export type AllocationState = Static<typeof stateSchema>;

const validate = new Ajv({ allErrors: true })
  .addFormat('address', (text) => parseAddress(text)?.text === text)
  .compile<AllocationState>(stateSchema);

export interface AllocationRequest {
  readonly chains: readonly {
    readonly name: string;
    /** `status.servicePathId` of the manifest. */
    readonly given?: number | undefined;
  }[];
  readonly services: readonly {
    /** `namespace/name`. */
    readonly key: string;
    /** `clusterIP` of a Service of that name in the manifests. */
    readonly given?: string | undefined;
    /** What its pods' addresses are; undefined where there are none, or of both. */
    readonly family?: AddressFamily | undefined;
  }[];
  /** Addresses of other Services in the manifests: never given out. */
  readonly reserved: readonly string[];
}

export interface Allocation {
  readonly servicePathIds: ReadonlyMap<string, number>;
  readonly serviceAddresses: ReadonlyMap<string, string>;
}

export function emptyState(): AllocationState {
  return { version: 1, nextServicePathId: 1, chains: {}, deletions: 0, services: {}, nextServiceOffset: 2 };
}

/** @throws SfcError ALLOCATION_STATE when the text is not a state this version wrote */
export function parseState(text: string, file: string): AllocationState {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new SfcError('ALLOCATION_STATE', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (validate(parsed)) return parsed;
  const problems = (validate.errors ?? []).slice(0, 5).map((error) => `${error.instancePath || '/'} ${error.message}`);
  throw new SfcError('ALLOCATION_STATE', `${file}: ${problems.join('; ')}`);
}

function allocatePathId(state: AllocationState, taken: Set<number>): number {
  for (; state.nextServicePathId <= LAST_SERVICE_PATH_ID; state.nextServicePathId++) {
    if (!taken.has(state.nextServicePathId)) return state.nextServicePathId++;
  }
  // Used up once: the chain deleted longest ago gives its id away.
  let oldest: string | undefined;
  let since = Number.POSITIVE_INFINITY;
  for (const [name, chain] of Object.entries(state.chains)) {
    if (chain.deleted !== undefined && chain.deleted < since && chain.servicePathId <= LAST_SERVICE_PATH_ID) {
      oldest = name;
      since = chain.deleted;
    }
  }
  if (oldest === undefined) throw new SfcError('ALLOCATION_EXHAUSTED', `all service path ids up to ${LAST_SERVICE_PATH_ID} are in use`);
  const id = state.chains[oldest]?.servicePathId ?? 0;
  delete state.chains[oldest];
  return id;
}

const OFFSET = { 1: 'nextServiceOffset', 2: 'nextServiceOffset6' } as const;

function allocateAddress(state: AllocationState, range: ServiceRange, taken: Set<string>): string {
  const next = OFFSET[range.family];
  // The network, its first address (by custom the cluster's own API) and the broadcast are left out.
  const usable = range.size - 3;
  for (let tries = 0; tries < usable; tries++) {
    const last = state[next] ?? 2;
    const offset = last > range.size - 2 ? 2 : last;
    state[next] = offset + 1;
    const address = addressAt(range, offset);
    if (!taken.has(address)) return address;
  }
  throw new SfcError('ALLOCATION_EXHAUSTED', `no address is left in serviceCidr ${range.text} for a service (${usable} in all)`);
}

/**
 * Gives out what `request` lacks, in the order of the names, and marks deleted chains.
 * @returns the answer and the state after it; `state` itself is left alone
 * @throws SfcError ALLOCATION_EXHAUSTED
 */
export function allocate(
  state: AllocationState,
  request: AllocationRequest,
  serviceCidr: string,
): { allocation: Allocation; next: AllocationState } {
  const ranges = parseServiceCidr(serviceCidr);
  const next = structuredClone(state);
  const byName =
    <T>(key: (item: T) => string) =>
    (a: T, b: T) =>
      key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;

  const servicePathIds = new Map<string, number>();
  const wanted = [...request.chains].sort(byName((chain) => chain.name));
  const names = new Set(wanted.map((chain) => chain.name));
  for (const [name, chain] of Object.entries(next.chains).sort(byName(([name]) => name))) {
    if (!names.has(name)) chain.deleted ??= ++next.deletions;
  }
  for (const chain of wanted) if (chain.given !== undefined) next.chains[chain.name] = { servicePathId: chain.given };
  // An id that a manifest names for one chain is taken from another that only had it by allocation.
  const givenIds = new Map(wanted.flatMap(({ name, given }) => (given === undefined ? [] : [[given, name] as const])));
  for (const [name, chain] of Object.entries(next.chains)) {
    const isGiven = wanted.some((request) => request.name === name && request.given !== undefined);
    // What is remembered may be older than the reservation for probes.
    const isTaken = (givenIds.get(chain.servicePathId) ?? name) !== name || chain.servicePathId === PROBE.spi;
    if (!isGiven && isTaken) delete next.chains[name];
  }
  const takenIds = () => new Set(Object.values(next.chains).map((chain) => chain.servicePathId));
  for (const { name } of wanted) {
    const known = next.chains[name];
    const servicePathId = known?.servicePathId ?? allocatePathId(next, takenIds());
    next.chains[name] = { servicePathId };
    servicePathIds.set(name, servicePathId);
  }

  const serviceAddresses = new Map<string, string>();
  const inRange = (address: string) => ranges.some((range) => isIn(range, address));
  const rangeFor = (family: AddressFamily | undefined) => ranges.find((range) => range.family === family) ?? (ranges[0] as ServiceRange);
  const services = [...request.services].sort(byName((service) => service.key));
  const givenTo = new Map<string, string>();
  for (const service of services) if (service.given !== undefined) givenTo.set(service.given, service.key);
  const takenAddresses = new Set([...request.reserved, ...givenTo.keys(), ...Object.values(next.services)]);
  for (const service of services) {
    const known = next.services[service.key];
    // A remembered address gives way when the range moved (not when its function's pods changed their family) or a manifest's Service took it.
    const keeps =
      known !== undefined && inRange(known) && !request.reserved.includes(known) && (givenTo.get(known) ?? service.key) === service.key;
    const address = service.given ?? (keeps ? known : allocateAddress(next, rangeFor(service.family), takenAddresses));
    takenAddresses.add(address);
    // A manifest's own address needs no remembering; it is there to read again.
    if (service.given === undefined) next.services[service.key] = address;
    serviceAddresses.set(service.key, address);
  }
  return { allocation: { servicePathIds, serviceAddresses }, next };
}
