/**
 * What it takes that the node's netfilter lets packets through of which it sees one direction only: the program on the links by
 * which packets come to the node, which knows answers that have come past their chain, and the rules for what is marked.
 */

import type { Datapath, HalfSeenRules, UplinkInterface } from '../datapath/index.js';
import type { Link, Survey } from './discovery/index.js';
import { type Log, Standing } from './log.js';

/** A route to one host, with nobody in between: what is behind it is a pod, or like one. */
const LENGTHS_OF_HOSTS = [32, 128];

/**
 * Links of Ethernet over which the node reaches more than single hosts, in the order of their numbers. Not those of pods, nor
 * bridges that pods are ports of.
 * @param pods their interfaces
 */
export function uplinksOf({ links, routes }: Pick<Survey, 'links' | 'routes'>, pods: Iterable<number>): UplinkInterface[] {
  const own = new Set(pods);
  const bridges = new Set([...own].flatMap((ifindex) => links.get(ifindex)?.master || []));
  const used = new Set(
    routes.flatMap(({ type, dev, gateway, network, prefixLength }) => {
      const isHost = gateway === '' && prefixLength === LENGTHS_OF_HOSTS[network.includes(':') ? 1 : 0];
      return type === 'unicast' && !isHost ? [dev] : [];
    }),
  );
  const isUplink = ({ ifindex, ifname, ethernet }: Link) => ethernet && used.has(ifname) && !own.has(ifindex) && !bridges.has(ifname);
  return [...links.values()]
    .filter(isUplink)
    .sort((one, other) => one.ifindex - other.ifindex)
    .map(({ ifindex, ifname }) => ({ ifindex, ifname }));
}

export class Uplinks {
  readonly #datapath: Pick<Datapath, 'kind' | 'setUplinks'>;
  readonly #keepRules: (asking: readonly string[]) => HalfSeenRules;
  readonly #log: Log;
  readonly #standing = new Standing();
  #wanted: readonly UplinkInterface[] = [];
  #names: readonly string[] = [];
  #wrapping = false;
  #asking: readonly string[] = [];
  #rules: HalfSeenRules = { there: false, trouble: '' };

  constructor(datapath: Pick<Datapath, 'kind' | 'setUplinks'>, keepRules: (asking: readonly string[]) => HalfSeenRules, log: Log) {
    this.#datapath = datapath;
    this.#keepRules = keepRules;
    this.#log = log;
  }

  /** Names of those that have the program. */
  get names(): readonly string[] {
    return this.#names;
  }

  /**
   * @param survey undefined: no pod of this node has its packets wrapped, and nothing is needed
   * @param pods their interfaces
   * @param asking addresses of those that steer what they send, and ranges behind them
   */
  follow(survey: Pick<Survey, 'links' | 'routes'> | undefined, pods: Iterable<number>, asking: Iterable<string>): void {
    this.#wanted = survey === undefined ? [] : uplinksOf(survey, pods);
    this.#wrapping = survey !== undefined;
    // In the kernel the program on the links knows better.
    this.#asking = this.#datapath.kind === 'kernel' ? [] : [...asking].sort();
    this.#rules = { there: false, trouble: '' };
    this.restore();
  }

  /** Puts programs back that others have taken away, and makes the rules when the node has begun to track connections. Cheap. */
  restore(): void {
    if (this.#wrapping && !this.#rules.there) this.#rules = this.#keepRules(this.#asking);
    const troubled = this.#datapath.setUplinks(this.#wanted);
    const missing = new Set(troubled.map(({ ifindex }) => ifindex));
    this.#names =
      this.#datapath.kind === 'kernel' ? this.#wanted.flatMap(({ ifindex, ifname }) => (missing.has(ifindex) ? [] : [ifname])) : [];
    const words = troubled.map(
      ({ ifname, why }) => `${ifname}: ${why}; answers that come by it past their chain may be dropped as invalid`,
    );
    if (this.#rules.trouble !== '')
      words.push(`no rules for packets of which netfilter sees one direction (${this.#rules.trouble}): it may drop them as invalid`);
    this.#standing.tell(words, (message) => this.#log.warn({}, message));
  }
}
