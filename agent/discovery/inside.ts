/**
 * The MTU inside pods: that of the other end of their veth, which only the pod's network namespace knows. It is
 * asked by the namespace's name below /run/netns, where container runtimes put one; a pod without has none here.
 */

import type { RunCommand } from './host.js';
import { type Link, parseLinks, parseNamespaces } from './tables.js';

/** Ends that are known are asked again, so many a time: nothing on the host tells of a change inside a pod. */
const ASKED_AGAIN = 4;
/** Commands at a time. */
const AT_ONCE = 4;

/** Where the other end of a veth is. */
type Peer = NonNullable<Link['peer']>;

export class InsideMtus {
  readonly #run: RunCommand;
  /** By ifindex of the host side; in the order in which they were asked. */
  readonly #known = new Map<number, { readonly peer: Peer; readonly mtu: number }>();

  constructor(run: RunCommand) {
    this.#run = run;
  }

  /** By ifindex of the host side. Never throws: what cannot be asked is left out. */
  async read(links: readonly Link[]): Promise<ReadonlyMap<number, number>> {
    const veths = links.flatMap(({ ifindex, peer }) => (peer === undefined ? [] : [{ ifindex, peer }]));
    const peers = new Map(veths.map(({ ifindex, peer }) => [ifindex, peer]));
    for (const [ifindex, { peer }] of this.#known) {
      const now = peers.get(ifindex);
      if (now?.netnsid !== peer.netnsid || now.ifindex !== peer.ifindex) this.#known.delete(ifindex);
    }
    const fresh = veths.filter(({ ifindex }) => !this.#known.has(ifindex));
    const again = [...this.#known].slice(0, ASKED_AGAIN).map(([ifindex, { peer }]) => ({ ifindex, peer }));
    const asked = [...fresh, ...again];
    if (asked.length > 0) {
      const names = await this.#names();
      for (let at = 0; at < asked.length; at += AT_ONCE) {
        await Promise.all(asked.slice(at, at + AT_ONCE).map(({ ifindex, peer }) => this.#ask(ifindex, peer, names.get(peer.netnsid))));
      }
    }
    return new Map([...this.#known].map(([ifindex, { mtu }]) => [ifindex, mtu]));
  }

  async #names(): Promise<ReadonlyMap<number, string>> {
    try {
      return parseNamespaces(await this.#run('ip', ['-j', 'netns', 'list-id']));
    } catch {
      return new Map();
    }
  }

  async #ask(ifindex: number, peer: Peer, name: string | undefined): Promise<void> {
    this.#known.delete(ifindex);
    if (name === undefined) return;
    try {
      const links = parseLinks(await this.#run('ip', ['-j', '-d', '-n', name, 'link']));
      const mtu = links.find((link) => link.ifindex === peer.ifindex)?.mtu;
      if (mtu !== undefined) this.#known.set(ifindex, { peer, mtu });
    } catch {
      // The pod may be gone since; where not, it is asked again.
    }
  }
}
