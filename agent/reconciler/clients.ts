/**
 * Session affinity lasts until its time-out after the client's last packet. The datapath writes a
 * client's entry at the first packet of a flow only, so that the others cost nothing; what came after
 * is read here from the flows, off the packet path.
 */

import {
  FLOW_FLAG,
  MAPS,
  mapCodecs,
  offsetsOf,
  PATH_FLAG,
  type SfcaffinityKey,
  type SfcaffinityValue,
  type SfcflowKey,
  type SfcflowValue,
  type TypedMaps,
} from '../../maps/index.js';
import { addressText, hex, type Observed } from './model.js';

const FLOW = offsetsOf(MAPS.sfcflow.value, 'flags', 'next_path');
const CODECS = mapCodecs('sfcflow');

/** Path, client and instance as one word. */
function clientText(path: number, family: number, client: Uint8Array, backendFamily: number, backend: Uint8Array): string {
  return `${path} ${family}:${hex(client)} ${addressText({ family: backendFamily, address: backend })}`;
}

/** When clients were seen last, by the flows that it is shown. For one walk over sfcflow. */
export class ClientsSeen {
  readonly #paths: ReadonlySet<number>;
  readonly #last = new Map<string, number>();

  constructor(observed: Observed) {
    const sticky = [...observed.paths].filter(([, { value }]) => (value.flags & PATH_FLAG.affinity) !== 0);
    this.#paths = new Set(sticky.map(([path]) => path));
  }

  /** An entry of `sfcflow` as bytes, made a record of only where it tells of a client. */
  see(key: Uint8Array, value: Uint8Array): void {
    if (((value[FLOW.flags] as number) & FLOW_FLAG.nextHop) === 0) return;
    let path = 0;
    for (let byte = 0; byte < 4; byte++) path = path * 256 + (value[FLOW.next_path + byte] as number);
    if (this.#paths.has(path)) this.#see(CODECS.key.decode(key), CODECS.value.decode(value));
  }

  #see(key: SfcflowKey, flow: SfcflowValue): void {
    const client = (flow.flags & FLOW_FLAG.forwardAToB) !== 0 ? key.address_a : key.address_b;
    const text = clientText(flow.next_path, key.family, client, flow.next_family, flow.next_hop);
    if (flow.last_seen > (this.#last.get(text) ?? 0)) this.#last.set(text, flow.last_seen);
  }

  /**
   * Brings the clients' entries up to date, those of the instance that their flows are at; returns how
   * many. What the datapath writes to one of them in between is written over: an instance that the
   * client has a live flow at stays, one that it had been given that moment goes.
   */
  write(maps: TypedMaps): number {
    if (this.#last.size === 0) return 0;
    const seen: (readonly [SfcaffinityKey, SfcaffinityValue])[] = [];
    for (const [key, value] of maps.sfcaffinity.entries()) {
      const last = this.#last.get(clientText(key.path, key.family, key.client, value.backend_family, value.backend));
      if (last !== undefined && last > value.last_seen) seen.push([key, { ...value, last_seen: last }]);
    }
    maps.sfcaffinity.setMany(seen);
    return seen.length;
  }
}

const SHORTEST_PERIOD_MS = 1000;
const LONGEST_PERIOD_MS = 30_000;

/** Ms between two walks over the flows: a quarter of the shortest time-out, within bounds. Undefined: none is needed. */
export function clientsPeriodMs(observed: Observed): number | undefined {
  const timeouts = [...observed.paths.values()]
    .filter(({ value }) => (value.flags & PATH_FLAG.affinity) !== 0)
    .map(({ value }) => value.affinity_timeout * 250);
  return timeouts.length === 0 ? undefined : Math.max(SHORTEST_PERIOD_MS, Math.min(LONGEST_PERIOD_MS, ...timeouts));
}
