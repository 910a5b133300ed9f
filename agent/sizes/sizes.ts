/** What does not fit, as it was found last; said in the log when it begins, changes and ends. */

import { parseAddress } from '../../geneve/index.js';
import type { CompileInput, DesiredState } from '../../policy/index.js';
import type { Discovery, Survey } from '../discovery/index.js';
import type { TrackedEndpoint } from '../endpoints.js';
import { type Log, Standing } from '../log.js';
import type { SizeView } from '../view.js';
import { destinationsOf, outerFamilies } from './destinations.js';
import { judgeSizes, type SizedPod } from './judge.js';

export interface Sized {
  readonly world: CompileInput['world'];
  readonly compiled: DesiredState;
  readonly endpoints: readonly TrackedEndpoint[];
  /** Undefined: this node has no pods. */
  readonly survey: Survey | undefined;
}

export class Sizes {
  readonly #log: Log;
  readonly #node: string;
  readonly #discovery: Pick<Discovery, 'insideMtus'>;
  readonly #said = new Standing();
  #current: readonly SizeView[] = [];

  constructor(log: Log, node: string, discovery: Pick<Discovery, 'insideMtus'>) {
    this.#log = log;
    this.#node = node;
    this.#discovery = discovery;
  }

  get current(): readonly SizeView[] {
    return this.#current;
  }

  /** Looks into the pods and judges anew. Never throws. */
  async follow(sized: Sized): Promise<void> {
    const before = this.#current.length;
    this.#current = await this.#judge(sized);
    const byText = new Map(this.#current.map((one) => [`${one.message}. ${one.hint}`, one]));
    this.#said.tell(byText.keys(), (text) => {
      const { message: _, hint: __, ...facts } = byText.get(text) as SizeView;
      this.#log.warn(facts, text);
    });
    if (before > 0 && byText.size === 0) this.#log.info({}, 'steered packets fit every link again');
  }

  async #judge({ world, compiled, endpoints, survey }: Sized): Promise<SizeView[]> {
    if (survey === undefined) return [];
    const { links, routes } = survey;
    const found = endpoints.filter(({ id }) => id !== 0);
    const hosts = found.flatMap(({ ifindex }) => links.get(ifindex) ?? []);
    const inside = await this.#discovery.insideMtus(hosts);
    const pods = found.map(({ pod, ifindex, mtu, addresses }): SizedPod => {
      const families = addresses.flatMap((address) => parseAddress(address)?.family ?? []);
      // Where it cannot be asked: CNIs give both ends the same.
      return { pod, ifindex, mtu: inside.get(ifindex) ?? mtu, families };
    });
    const families = outerFamilies(world, compiled);
    const sendable = new Set(pods.flatMap((pod) => pod.families.filter((family) => families.has(family))));
    return judgeSizes({ pods, families, destinations: destinationsOf(compiled, this.#node, sendable), links, routes });
  }
}
