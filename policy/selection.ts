/**
 * From claims to the entries of `sfcselect` and `sfcports`. Precedence between prefixes is the maps'
 * (longest match), between ports, any ports and any protocol the classifier's; everything else is
 * settled here: overlapping ranges, exceptions, and claims of one precedence.
 */

import { type Claim, contested, describeClaim, ruleOf } from './claims.js';
import type { Conflict, DesiredPorts, DesiredSelect, EndpointRef } from './desired.js';
import { layPorts } from './port-ranges.js';
import { type Contender, type OnTie, type PrefixEntry, prefixEntries } from './prefix-table.js';

/** A claim on the packets of one endpoint. */
export interface EndpointClaim extends Contender {
  readonly endpoint: EndpointRef;
  readonly chain: string;
}

export interface Selection {
  readonly selects: DesiredSelect[];
  readonly ports: DesiredPorts[];
  /** By pod, then by what is contested. */
  readonly conflicts: Conflict[];
}

type Party = Conflict['winner'];

class ConflictList {
  readonly #found = new Map<string, { readonly conflict: Conflict; readonly losers: Map<string, Party> }>();
  readonly #partyOf: (contender: Contender) => Party;
  /** Told already: two claims meet at every exception that neither makes. */
  readonly #met = new WeakMap<Contender, WeakSet<Contender>>();

  constructor(partyOf: (contender: Contender) => Party) {
    this.#partyOf = partyOf;
  }

  add(pod: string, winner: Contender, loser: Contender): void {
    const met = this.#met.get(winner) ?? new WeakSet();
    if (met.has(loser)) return;
    this.#met.set(winner, met.add(loser));
    const where = contested(winner, loser);
    if (where === undefined) return;
    const what = describeClaim(where);
    const key = `${pod}\n${what}\n${winner.selector}`;
    let found = this.#found.get(key);
    if (found === undefined) {
      found = { conflict: { pod, what, winner: this.#partyOf(winner), losers: [], rule: ruleOf(where, winner) }, losers: new Map() };
      this.#found.set(key, found);
    }
    found.losers.set(loser.selector, this.#partyOf(loser));
  }

  list(): Conflict[] {
    return [...this.#found]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { conflict, losers }]) => ({ ...conflict, losers: [...losers.values()].sort((a, b) => a.spi - b.spi) }));
  }
}

interface Group {
  readonly endpoint: EndpointRef;
  readonly direction: Claim['direction'];
  readonly protocol: number;
  readonly allPorts: Contender[];
  readonly ports: Contender[];
}

function groupClaims(claims: readonly EndpointClaim[]): Group[] {
  const groups = new Map<string, Group>();
  for (const claim of claims) {
    const { endpoint, direction, protocol } = claim;
    const key = `${endpoint.id} ${direction} ${protocol}`;
    let group = groups.get(key);
    if (group === undefined) {
      group = { endpoint, direction, protocol, allPorts: [], ports: [] };
      groups.set(key, group);
    }
    (claim.port === 0 ? group.allPorts : group.ports).push(claim);
  }
  return [...groups.values()];
}

/** Everything that is claimed at the endpoints of one node. The result does not depend on the order of the claims. */
export function compileClaims(claims: readonly EndpointClaim[]): Selection {
  const selects: DesiredSelect[] = [];
  const ports: DesiredPorts[] = [];
  const chains = new Map(claims.map(({ selector, chain }) => [selector, chain]));
  const conflicts = new ConflictList(({ selector, spi }) => ({ selector, chain: chains.get(selector) ?? '', spi }));

  for (const { endpoint, direction, protocol, allPorts, ports: portClaims } of groupClaims(claims)) {
    const onTie: OnTie = (winner, loser) => conflicts.add(endpoint.pod, winner, loser);
    const add = (port: number, lastPort: number, entries: readonly PrefixEntry[], together: readonly string[]) => {
      for (const { cidr, winner, excepting } of entries) {
        selects.push({
          endpoint,
          direction,
          protocol,
          port,
          lastPort,
          cidr,
          winningPrefix: winner?.cidr.prefixLength ?? 0,
          spi: winner?.spi ?? 0,
          si: winner?.si ?? 0,
          selector: winner?.selector ?? excepting[0] ?? '',
          together: excepting.length > 0 ? [...together, ...excepting] : together,
        });
      }
    };
    add(0, 0, prefixEntries(allPorts, onTie), []);
    const { parts, tree } = layPorts(portClaims, onTie);
    // Ranges that cut each other up are of no use without each other.
    const together = tree.length === 0 ? [] : selectorsOf(portClaims);
    for (const { port, lastPort, entries } of parts) add(port, lastPort, entries, together);
    for (const { port, bits, value } of tree) ports.push({ endpoint, direction, protocol, port, bits, firstPort: value, together });
  }
  return { selects, ports, conflicts: conflicts.list() };
}

function selectorsOf(claims: readonly Contender[]): string[] {
  return [...new Set(claims.map(({ selector }) => selector))].sort();
}
