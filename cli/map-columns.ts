/** How the entries of each map are listed. `sfcselect` and `sfcpath` are what operators know, to the space. */

import type { MapEntryView } from '../agent/view.js';
import {
  ENDPOINT_FLAG,
  FAILURE_POLICY,
  FAMILY,
  FLOW_FLAG,
  FLOW_ROLE,
  formatPorts,
  formatProtocol,
  formatTcpState,
  type MapName,
  PEER_FLAG,
  PEER_STATIC_BITS,
  PORTS_STATIC_BITS,
  REASONS,
  SELECT_FLAG,
  SELECT_STATIC_BITS,
} from '../maps/index.js';
import { formatDuration } from './duration.js';
import type { Column } from './table.js';

export interface MapListing {
  readonly columns: readonly Column<MapEntryView>[];
  /** Entries are listed by these, the first that differs decides. */
  readonly order: readonly ((entry: MapEntryView) => string | number)[];
  /** Entries that an operator looks for first. */
  readonly marked?: (entry: MapEntryView) => boolean;
}

const number = (entry: MapEntryView, name: string): number => Number(entry[name] ?? 0);
const text = (entry: MapEntryView, name: string): string => String(entry[name] ?? '');
const has = (entry: MapEntryView, flag: number) => (number(entry, 'flags') & flag) !== 0;

/** A number that names something is written as a word. */
const label = (title: string, name: string): Column<MapEntryView> => ({ title, value: (entry) => text(entry, name) });
const field = (title: string, name: string): Column<MapEntryView> => ({ title, value: (entry) => entry[name] ?? '' });

const direction = (entry: MapEntryView) => (has(entry, SELECT_FLAG.egress) ? 'egress' : 'ingress');

function selector(entry: MapEntryView): string {
  const cidr = `${text(entry, 'address')}/${number(entry, 'prefix_len') - SELECT_STATIC_BITS}`;
  const ports = formatPorts(number(entry, 'protocol'), number(entry, 'port'), number(entry, 'last_port'));
  return `${text(entry, 'endpoint')}, ${direction(entry)}, ${ports}, ${cidr}`;
}

/** Ports that an entry of `sfcports` covers: `3783, egress, 8000-8063/TCP`. */
function portPrefix(entry: MapEntryView): string {
  const first = number(entry, 'port');
  const last = first + 2 ** (16 - (number(entry, 'prefix_len') - PORTS_STATIC_BITS)) - 1;
  return `${text(entry, 'endpoint')}, ${direction(entry)}, ${formatPorts(number(entry, 'protocol'), first, last)}`;
}

/** One side of a flow; its opener is side `a` when the flow says so. */
function side(entry: MapEntryView, opener: boolean): string {
  const name = opener === has(entry, FLOW_FLAG.forwardAToB) ? 'a' : 'b';
  const address = text(entry, `address_${name}`);
  return `${number(entry, 'family') === FAMILY.ipv6 ? `[${address}]` : address}:${text(entry, `port_${name}`)}`;
}

/** `?`: not decided yet; empty: none, the packets go plain. */
function nextHop(entry: MapEntryView): string {
  if (has(entry, FLOW_FLAG.nextHop)) return text(entry, 'next_hop');
  return has(entry, FLOW_FLAG.resolved) ? '' : '?';
}

const NO_PATH = '(0, 0)';
const path = (entry: MapEntryView, name: string) => (text(entry, name) === NO_PATH ? '' : text(entry, name));
const ROLES = new Map<number, string>(Object.entries(FLOW_ROLE).map(([name, value]) => [value, name]));

const SELECTS: readonly (readonly [flag: number, words: string])[] = [
  [ENDPOINT_FLAG.selectsAllPorts, 'all ports'],
  [ENDPOINT_FLAG.selectsPorts, 'ports'],
  [ENDPOINT_FLAG.selectsRanges, 'ranges'],
  [ENDPOINT_FLAG.selectsAnyProtocol, 'other protocols'],
  [ENDPOINT_FLAG.ingressAllPorts, 'ingress all ports'],
  [ENDPOINT_FLAG.ingressPorts, 'ingress ports'],
  [ENDPOINT_FLAG.ingressRanges, 'ingress ranges'],
  [ENDPOINT_FLAG.ingressAnyProtocol, 'ingress other protocols'],
];

const selects = (entry: MapEntryView) => SELECTS.flatMap(([flag, words]) => (has(entry, flag) ? [words] : [])).join(', ');

/** A slot of `metrics` is reason * 2 + direction. */
const reason = (entry: MapEntryView) => REASONS.find(({ number: reasonNumber }) => reasonNumber === number(entry, 'slot') >> 1);
const yesNo = (yes: boolean) => (yes ? 'yes' : 'no');

/** @param now nanoseconds of the monotonic clock */
const ago = (now: number, entry: MapEntryView, name = 'last_seen') => `${formatDuration((now - number(entry, name)) / 1e9)} ago`;

const FAILURE_POLICIES = new Map<number, string>(Object.entries(FAILURE_POLICY).map(([name, value]) => [value, name]));
const failurePolicy: Column<MapEntryView> = {
  title: 'WITHOUT INSTANCE',
  value: (entry) => FAILURE_POLICIES.get(number(entry, 'failure_policy')) ?? text(entry, 'failure_policy'),
};

/** @param now nanoseconds of the monotonic clock */
function listings(entries: readonly MapEntryView[], now: number): Readonly<Partial<Record<MapName, MapListing>>> {
  return {
    sfcselect: {
      columns: [
        { title: 'SELECTOR', value: selector, width: 42 },
        {
          title: 'PATH',
          value: (entry) => (text(entry, 'path') === NO_PATH ? '-' : `/${text(entry, 'cidr_prefix_len')} ${text(entry, 'path')}`),
        },
      ],
      order: [(entry) => number(entry, 'endpoint'), selector],
    },
    sfcports: {
      columns: [
        { title: 'PORTS', value: portPrefix, width: 42 },
        { title: 'RANGE FROM', value: (entry) => (number(entry, 'first_port') === 0 ? '-' : text(entry, 'first_port')) },
      ],
      order: [(entry) => number(entry, 'endpoint'), portPrefix],
    },
    sfcpath: {
      columns: [
        { ...field('PATH', 'path'), width: 8 },
        field('SERVICE FUNCTION ADDRESS', 'service_address'),
        // Where all drop, as by default, the listing is what it always was.
        ...(entries.every((entry) => number(entry, 'failure_policy') === FAILURE_POLICY.drop) ? [] : [failurePolicy]),
      ],
      order: [(entry) => text(entry, 'path')],
    },
    // As data alone; the table is that of backend-shares.ts.
    sfcbackend: { columns: [label('SLOT', 'slot'), field('ADDRESS', 'address')], order: [(entry) => number(entry, 'slot')] },
    sfcaffinity: {
      columns: [
        field('CLIENT', 'client'),
        field('PATH', 'path'),
        field('BACKEND', 'backend'),
        { title: 'SEEN', value: (entry) => ago(now, entry) },
      ],
      order: [(entry) => text(entry, 'path'), (entry) => text(entry, 'client')],
    },
    sfcflow: {
      columns: [
        label('ENDPOINT', 'endpoint'),
        { title: 'PROTOCOL', value: (entry) => formatProtocol(number(entry, 'protocol')) },
        { title: 'SOURCE', value: (entry) => side(entry, true) },
        { title: 'DESTINATION', value: (entry) => side(entry, false) },
        { title: 'ROLE', value: (entry) => ROLES.get(number(entry, 'role')) ?? text(entry, 'role') },
        { title: 'STATE', value: (entry) => formatTcpState(number(entry, 'protocol'), number(entry, 'tcp_state')) },
        { title: 'PATH', value: (entry) => path(entry, 'path') },
        { title: 'NEXT PATH', value: (entry) => path(entry, 'next_path') },
        { title: 'PREVIOUS HOP', value: (entry) => (has(entry, FLOW_FLAG.previousHop) ? text(entry, 'previous_hop') : '') },
        { title: 'NEXT HOP', value: nextHop },
        field('PACKETS', 'packets'),
        field('BYTES', 'bytes'),
        field('REPLIES', 'reply_packets'),
        field('REPLY BYTES', 'reply_bytes'),
        { title: 'SEEN', value: (entry) => ago(now, entry) },
      ],
      order: [(entry) => number(entry, 'endpoint'), (entry) => number(entry, 'protocol'), (entry) => side(entry, true)],
    },
    sfcfragment: {
      columns: [
        label('IFINDEX', 'ifindex'),
        { title: 'PROTOCOL', value: (entry) => formatProtocol(number(entry, 'protocol')) },
        { title: 'SOURCE', value: (entry) => `${text(entry, 'source')}:${text(entry, 'source_port')}` },
        { title: 'DESTINATION', value: (entry) => `${text(entry, 'destination')}:${text(entry, 'destination_port')}` },
        { title: 'IDENTIFICATION', value: (entry) => text(entry, 'id') },
        { title: 'SEEN', value: (entry) => ago(now, entry) },
      ],
      order: [(entry) => number(entry, 'ifindex'), (entry) => number(entry, 'slot')],
    },
    sfcquota: {
      columns: [label('IFINDEX', 'ifindex'), field('FLOWS', 'flows'), field('LIMIT', 'limit')],
      order: [(entry) => number(entry, 'ifindex')],
    },
    endpoint: {
      columns: [
        label('IFINDEX', 'ifindex'),
        label('ENDPOINT', 'id'),
        field('IPV4', 'ipv4'),
        field('IPV6', 'ipv6'),
        field('MTU', 'mtu'),
        { title: 'SELECTS', value: selects },
        field('GENERATION', 'generation'),
      ],
      order: [(entry) => number(entry, 'id')],
    },
    peer: {
      columns: [
        { title: 'RANGE', value: (entry) => `${text(entry, 'address')}/${number(entry, 'prefix_len') - PEER_STATIC_BITS}` },
        { title: 'TRUSTED', value: (entry) => yesNo(has(entry, PEER_FLAG.trusted)) },
        { title: 'DECAPSULATES', value: (entry) => yesNo(has(entry, PEER_FLAG.decapsulates)) },
        { title: 'COMES BY', value: (entry) => (number(entry, 'ifindex') === 0 ? '' : `interface ${text(entry, 'ifindex')}`) },
      ],
      order: [(entry) => number(entry, 'family'), (entry) => text(entry, 'address'), (entry) => number(entry, 'prefix_len')],
    },
    sfcprobe: {
      columns: [
        field('INSTANCE', 'address'),
        label('PORT', 'port'),
        label('SEQUENCE', 'sequence'),
        { title: 'ANSWERED', value: (entry) => (number(entry, 'answered') === 0 ? 'never' : ago(now, entry, 'answered')) },
      ],
      order: [(entry) => text(entry, 'address'), (entry) => number(entry, 'port')],
    },
    metrics: {
      columns: [
        { title: 'REASON', value: (entry) => reason(entry)?.name ?? `${number(entry, 'slot') >> 1}` },
        { title: 'CLASS', value: (entry) => reason(entry)?.class ?? '' },
        { title: 'DIRECTION', value: (entry) => (number(entry, 'slot') % 2 === 0 ? 'from-pod' : 'to-pod') },
        field('PACKETS', 'packets'),
        field('BYTES', 'bytes'),
      ],
      order: [(entry) => number(entry, 'slot')],
      marked: (entry) => reason(entry)?.class === 'dropped',
    },
  };
}

/** A map that has no listing of its own shows its fields by name. */
function plainListing(entries: readonly MapEntryView[]): MapListing {
  return { columns: Object.keys(entries[0] ?? {}).map((name) => field(name.replaceAll('_', ' ').toUpperCase(), name)), order: [] };
}

/** @param now nanoseconds of the monotonic clock that flows are stamped with */
export function mapListing(map: MapName, entries: readonly MapEntryView[], now: number): MapListing {
  return listings(entries, now)[map] ?? plainListing(entries);
}

// Numbers inside a text count as numbers: 10.0.2.12 comes before 10.0.10.1, (2, 1) before (10, 1).
const collator = new Intl.Collator('en', { numeric: true });

/** The entries in the listing's order. */
export function inOrder(entries: readonly MapEntryView[], { order }: MapListing): readonly MapEntryView[] {
  const keyed = entries.map((entry) => ({ entry, keys: order.map((key) => key(entry)) }));
  keyed.sort((a, b) => {
    for (const [index, left] of a.keys.entries()) {
      const right = b.keys[index] ?? '';
      const apart = typeof left === 'number' ? left - Number(right) : collator.compare(left, String(right));
      if (apart !== 0) return apart;
    }
    return 0;
  });
  return keyed.map(({ entry }) => entry);
}
