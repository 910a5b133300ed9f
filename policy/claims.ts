/** What selectors claim, one direction, protocol, run of ports and prefix at a time, and which claim wins. */

import { FAMILY, formatPorts } from '../maps/index.js';
import type { Cidr } from './desired.js';
import { ANY_IPV4, ANY_IPV6 } from './destinations.js';
import { fill } from './prefixes.js';
import type { Direction, Selector } from './world.js';

/** Packets of any protocol, as a protocol number. */
export const ANY_PROTOCOL = 0;
const ICMP = 1;
const ICMPV6 = 58;
/** More ports than any range has. */
const ALL_PORTS = 65_536;

export interface Claim {
  readonly direction: Direction;
  readonly protocol: number;
  /** 0 = all ports. */
  readonly port: number;
  readonly lastPort: number;
  /** Where the other end is: what egress goes to, what ingress comes from. */
  readonly cidr: Cidr;
  readonly except: readonly Cidr[];
}

/** Ports that a claim is wide; all ports are more than any range. */
export function widthOf({ port, lastPort }: Pick<Claim, 'port' | 'lastPort'>): number {
  return port === 0 ? ALL_PORTS : lastPort - port + 1;
}

/** Everything that a selector claims; a rule whose exceptions leave nothing claims nothing. */
export function claimsOf({ rules }: Selector): Claim[] {
  return rules.flatMap(({ direction, cidr, except, ports }) =>
    (cidr === undefined ? [ANY_IPV4, ANY_IPV6] : [cidr])
      .filter((prefix) => except.length === 0 || !fill(prefix, except))
      .flatMap((prefix) =>
        ports.map(({ protocol, port, lastPort }) => ({
          direction,
          // ICMP has another number in IPv6, and the same name.
          protocol: protocol === ICMP && prefix.family === FAMILY.ipv6 ? ICMPV6 : protocol,
          port,
          lastPort,
          cidr: prefix,
          except,
        })),
      ),
  );
}

/** As `sfc bpf sfcselect list` prints it: `egress, 8000-8999/TCP, 10.0.2.12/32`. */
export function describeClaim({ direction, protocol, port, lastPort, cidr }: Omit<Claim, 'except'>): string {
  return `${direction}, ${formatPorts(protocol, port, lastPort)}, ${cidr.text}`;
}

/**
 * What two claims of the same precedence both claim: same direction, protocol and prefix, port ranges
 * of the same width that overlap, and addresses that neither excepts. Undefined: they do not meet.
 */
export function contested(a: Claim, b: Claim): Omit<Claim, 'except'> | undefined {
  const { direction, protocol, cidr } = a;
  if (b.direction !== direction || b.protocol !== protocol || b.cidr.text !== cidr.text || widthOf(a) !== widthOf(b)) return undefined;
  const port = Math.max(a.port, b.port);
  const lastPort = Math.min(a.lastPort, b.lastPort);
  if (port > lastPort) return undefined;
  const exceptions = [...a.except, ...b.except];
  return exceptions.length > 0 && fill(cidr, exceptions) ? undefined : { direction, protocol, port, lastPort, cidr };
}

/** Why the winner of `contested` packets won. */
export function ruleOf({ port, lastPort }: Pick<Claim, 'port' | 'lastPort'>, winner: Claim): string {
  const what =
    port === winner.port && lastPort === winner.lastPort ? 'protocol, port and prefix' : 'protocol and prefix, port ranges of one width';
  return `same endpoint, ${what}: the chain with the lower servicePathId wins`;
}
