/**
 * The record of servicePathIds in its ConfigMap. It is written before any status that names an id, and only as the successor
 * of the version that was read: of two controllers that write, one is refused and reads again. Whoever dies in between has
 * given an id to a chain that does not show it yet; the next one finds it in the record.
 */

import { apiVersionOf, type KubernetesObject, RESOURCES } from '../../kubernetes/index.js';
import { type Api, isCode } from '../api.js';
import { formatRecord, type IdRecord, type Owner, parseRecord } from './record.js';
import { type ChainIdentity, type Settlement, settleIds } from './settle.js';

export const RECORD_NAME = 'sfc-path-ids';
/** Chains that are asked for one by one; more are listed. */
const FEW = 16;

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface KeeperOptions {
  readonly api: Api;
  readonly namespace: string;
  readonly restMs: number;
  /** Wall clock, ms. */
  readonly now: () => number;
}

export class IdKeeper {
  readonly #options: KeeperOptions;
  #record: IdRecord | undefined;
  /** As it was read or written last; undefined: to be read, or there is none. */
  #object: ConfigMap | undefined;
  #byUid = new Map<string, number>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** The id that the record gives to a chain. */
  idOf(uid: string): number | undefined {
    return this.#byUid.get(uid);
  }

  get assigned(): number {
    return this.#byUid.size;
  }

  /** Ids that rest. */
  get resting(): number {
    const ranges = this.#record?.resting.flatMap((rest) => rest.ranges) ?? [];
    return ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /** Reads the record again with the next settling: somebody may have edited or deleted it. */
  doubt(): void {
    this.#object = undefined;
  }

  /**
   * Gives ids to chains that have none, and lets those of chains that are gone rest. At most one write, whatever the number.
   * @param chains as a watch has them: one that is missing is asked for before it counts as gone
   * @throws SfcError PATH_ID_RECORD where the record is not readable; KUBERNETES_… where it cannot be read or written
   */
  async settle(chains: readonly ChainIdentity[]): Promise<Settlement> {
    const { now, restMs } = this.#options;
    if (this.#object === undefined) await this.#read();
    const gone = await this.#gone(chains);
    const settlement = settleIds({ record: this.#record, chains, gone, now: now(), restMs });
    if (settlement.changed || this.#object === undefined) await this.#write(settlement.record);
    return settlement;
  }

  async #read(): Promise<void> {
    const { api, namespace } = this.#options;
    try {
      const object = await api.get<ConfigMap>(RESOURCES.configMaps, RECORD_NAME, { namespace });
      this.#know(parseRecord(object.data ?? {}), object);
    } catch (error) {
      // Deleted while we run: what we know of it is written again.
      if (!isCode(error, 'KUBERNETES_NOT_FOUND')) throw error;
    }
  }

  async #write(record: IdRecord): Promise<void> {
    const { api, namespace } = this.#options;
    const data = formatRecord(record);
    const fresh: ConfigMap = {
      apiVersion: apiVersionOf(RESOURCES.configMaps),
      kind: RESOURCES.configMaps.kind,
      metadata: { name: RECORD_NAME, namespace, labels: { 'app.kubernetes.io/part-of': 'sfc' } },
    };
    try {
      const written =
        this.#object === undefined
          ? await api.create<ConfigMap>(RESOURCES.configMaps, { ...fresh, data }, { namespace })
          : await api.replace<ConfigMap>(RESOURCES.configMaps, { ...this.#object, data }, { namespace });
      this.#know(record, written);
    } catch (error) {
      // Refused, or perhaps written and the answer lost: only reading tells.
      this.#object = undefined;
      throw error;
    }
  }

  #know(record: IdRecord, object: ConfigMap): void {
    this.#record = record;
    this.#object = object;
    this.#byUid = new Map([...record.assigned].map(([id, { uid }]) => [uid, id]));
  }

  /**
   * UIDs of the record that no chain has any more. Asked of the API server itself: a watch may be late, and an id that is
   * taken from a chain that lives would be a path that moves.
   */
  async #gone(chains: readonly ChainIdentity[]): Promise<Set<string>> {
    const known = new Set(chains.map(({ uid }) => uid));
    const missing = [...(this.#record?.assigned.values() ?? [])].filter(({ uid }) => !known.has(uid));
    const living =
      missing.length > FEW
        ? await this.#living()
        : new Set((await Promise.all(missing.map((one) => this.#living(one)))).flatMap((set) => [...set]));
    return new Set(missing.map(({ uid }) => uid).filter((uid) => !living.has(uid)));
  }

  /** UIDs of all chains, or of the one of that name, at this moment. */
  async #living(one?: Owner): Promise<Set<string>> {
    const query = one === undefined ? {} : { fieldSelector: `metadata.name=${one.name}` };
    const { items } = await this.#options.api.list(RESOURCES.chains, query);
    return new Set(items.map(({ metadata: { uid = '' } }) => uid));
  }
}
