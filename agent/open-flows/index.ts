/**
 * Flows that are open when a pod becomes selected. The datapath has not seen them begin; the node's connection tracking has. Each
 * gets its entry before the pod's, so that from the first packet on it is known who opened it: what the pod opened is
 * classified at the pod's next packet, what was opened to it is answered plainly, or taken for its ingress.
 */

import {
  EMPTY_FLOW,
  FAMILY,
  FLOW_FLAG,
  FLOW_ROLE,
  type SfcflowKey,
  type SfcflowValue,
  TCP_STATE,
  type TypedMap,
} from '../../maps/index.js';
import { type Log, Standing } from '../log.js';
import { type Direction, parseConntrack, type Tracked } from './conntrack.js';

/** A pod that becomes selected. */
export interface Becoming {
  readonly id: number;
  readonly ifindex: number;
  readonly addresses: readonly { readonly family: number; readonly bytes: Uint8Array; readonly text: string }[];
}

export interface OpenFlowsOptions {
  /** Runs conntrack(8); what it prints. */
  readonly conntrack: (args: readonly string[]) => Promise<string>;
  readonly map: Pick<TypedMap<SfcflowKey, SfcflowValue>, 'get' | 'set'>;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly now: () => number;
  readonly log: Log;
}

/** So many addresses are asked for one by one; of more the whole table is read. */
const FEW = 4;
/** Over, but for packets that are late. */
const OVER: readonly string[] = ['TIME_WAIT', 'CLOSE'];
const TCP_STATES: Readonly<Record<string, number>> = {
  SYN_SENT: TCP_STATE.handshake,
  SYN_SENT2: TCP_STATE.handshake,
  SYN_RECV: TCP_STATE.handshake,
  FIN_WAIT: TCP_STATE.closingForward,
  CLOSE_WAIT: TCP_STATE.closingForward,
  LAST_ACK: TCP_STATE.closed,
};

export class OpenFlows {
  readonly #options: OpenFlowsOptions;
  readonly #standing = new Standing();

  constructor(options: OpenFlowsOptions) {
    this.#options = options;
  }

  /** Writes the entries of what these pods have open. Never throws: where it is not known, their next packets tell, as well as they can. */
  async remember(pods: readonly Becoming[]): Promise<void> {
    const { log } = this.#options;
    const addresses = pods.flatMap((pod) => pod.addresses);
    if (addresses.length === 0) return;
    const troubles: string[] = [];
    const tracked = (await Promise.all(requestsFor(addresses).map((args) => this.#list(args, troubles)))).flat();
    const entries = entriesOf(tracked, pods, this.#options.now());
    try {
      // What the datapath has seen itself, it knows better.
      for (const [key, value] of entries) if (this.#options.map.get(key) === undefined) this.#options.map.set(key, value);
    } catch (error) {
      troubles.push(error instanceof Error ? error.message : String(error));
    }
    if (entries.length > 0) log.info({ flows: entries.length, pods: pods.length }, 'flows that were open when their pods became selected');
    this.#standing.tell(
      troubles.map((trouble) => `what is open at pods that become selected is not known: ${trouble}`),
      (message) => log.warn({}, message),
    );
  }

  async #list(args: readonly string[], troubles: string[]): Promise<readonly Tracked[]> {
    try {
      return parseConntrack(await this.#options.conntrack(['-L', ...args]));
    } catch (error) {
      troubles.push(error instanceof Error ? error.message : String(error));
      return [];
    }
  }
}

function requestsFor(addresses: Becoming['addresses']): string[][] {
  const familyName = ({ family }: { readonly family: number }) => (family === FAMILY.ipv6 ? 'ipv6' : 'ipv4');
  if (addresses.length > FEW) return [...new Set(addresses.map(familyName))].map((family) => ['-f', family]);
  return addresses.flatMap((address) => ['--orig-src', '--reply-src'].map((way) => ['-f', familyName(address), way, address.text]));
}

/** Entries of what is the pods' own: not of what they forward for others. */
export function entriesOf(tracked: readonly Tracked[], pods: readonly Becoming[], now: number): (readonly [SfcflowKey, SfcflowValue])[] {
  const byAddress = new Map(pods.flatMap((pod) => pod.addresses.map(({ bytes, family }) => [nameOf(family, bytes), pod] as const)));
  return tracked
    .filter(({ state }) => !OVER.includes(state))
    .flatMap((one) => {
      const { family, original, reply } = one;
      const opener = byAddress.get(nameOf(family, original.from.address));
      const opened = byAddress.get(nameOf(family, reply.from.address));
      return [
        // What a pod sends is seen before it is translated, what it receives when it has been.
        ...(opener === undefined ? [] : [entryOf(one, original, opener, FLOW_ROLE.outbound, now)]),
        ...(opened === undefined ? [] : [entryOf(one, { from: reply.to, to: reply.from }, opened, FLOW_ROLE.inbound, now)]),
      ];
    });
}

const nameOf = (family: number, address: Uint8Array) => `${family} ${Buffer.from(address).toString('hex')}`;

function entryOf(
  { family, protocol, state }: Tracked,
  { from, to }: Direction,
  { id, ifindex }: Becoming,
  role: number,
  now: number,
): readonly [SfcflowKey, SfcflowValue] {
  const order = Buffer.compare(from.address, to.address) || from.port - to.port;
  const [a, b] = order <= 0 ? [from, to] : [to, from];
  const key = { ifindex, family, protocol, visit: 0, address_a: a.address, address_b: b.address, port_a: a.port, port_b: b.port };
  return [
    key,
    {
      ...EMPTY_FLOW,
      endpoint: id,
      role,
      flags: FLOW_FLAG.resolved | (order <= 0 ? FLOW_FLAG.forwardAToB : 0),
      tcp_state: TCP_STATES[state] ?? TCP_STATE.established,
      last_seen: now,
    },
  ];
}
