/** The upper layer of a map: typed keys and values over any store's bytes. */

import { SfcError } from '../errors/index.js';
import { type ByteOrder, type Codec, createCodec, HOST_ORDER, type LayoutRecord } from './codec.js';
import { MAPS, type MapName } from './layouts.js';
import type { MapRecords } from './records.js';
import type { MapStore, RawMap } from './store.js';

/** A map of records. Errors are those of the raw map (`MAP_FULL`, `MAP_IO`) and of the codecs. */
export class TypedMap<K, V> {
  readonly raw: RawMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  constructor(raw: RawMap, key: Codec<K>, value: Codec<V>) {
    this.raw = raw;
    this.#key = key;
    this.#value = value;
  }

  /** In an LPM map: the value of the longest prefix that covers the key, no longer than `key.prefix_len`. */
  get(key: K): V | undefined {
    const bytes = this.raw.get(this.#key.encode(key));
    return bytes === undefined ? undefined : this.#value.decode(bytes);
  }

  set(key: K, value: V): void {
    this.raw.set(this.#key.encode(key), this.#value.encode(value));
  }

  /** True when the key was there. In an LPM map the prefix has to be the same, not merely cover. */
  delete(key: K): boolean {
    return this.raw.delete(this.#key.encode(key));
  }

  *entries(): IterableIterator<readonly [key: K, value: V]> {
    for (const [key, value] of this.raw.entries()) yield [this.#key.decode(key), this.#value.decode(value)];
  }

  size(): number {
    return this.raw.size();
  }

  setMany(entries: readonly (readonly [key: K, value: V])[]): void {
    this.raw.setMany(entries.map(([key, value]) => [this.#key.encode(key), this.#value.encode(value)]));
  }

  deleteMany(keys: readonly K[]): void {
    this.raw.deleteMany(keys.map((key) => this.#key.encode(key)));
  }
}

/** A per-CPU map of counters, read as the sum over CPUs. Only the datapath writes it. */
export class PerCpuMap<K, V> {
  readonly raw: RawMap;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  constructor(raw: RawMap, key: Codec<K>, value: Codec<V>) {
    this.raw = raw;
    this.#key = key;
    this.#value = value;
  }

  get(key: K): V | undefined {
    const bytes = this.raw.get(this.#key.encode(key));
    return bytes === undefined ? undefined : this.#sum(bytes);
  }

  *entries(): IterableIterator<readonly [key: K, value: V]> {
    for (const [key, value] of this.raw.entries()) yield [this.#key.decode(key), this.#sum(value)];
  }

  size(): number {
    return this.raw.size();
  }

  #sum(bytes: Uint8Array): V {
    const { name, size } = this.#value.layout;
    const stride = perCpuStride(size);
    if (bytes.length === 0 || bytes.length % stride !== 0) {
      throw new SfcError('LAYOUT_DRIFT', `${name}: ${bytes.length} bytes are not a whole number of CPUs of ${stride} bytes`);
    }
    const total: Record<string, number | Uint8Array> = {};
    for (let offset = 0; offset < bytes.length; offset += stride) {
      const one = this.#value.decode(bytes.subarray(offset, offset + size)) as LayoutRecord;
      for (const [field, value] of Object.entries(one)) {
        const sofar = total[field];
        total[field] = typeof sofar === 'number' && typeof value === 'number' ? sofar + value : value;
      }
    }
    return total as V;
  }
}

/** Bytes of one CPU's value: the kernel rounds up to 8. */
export function perCpuStride(valueSize: number): number {
  return Math.ceil(valueSize / 8) * 8;
}

type Typed<N extends MapName> = TypedMap<MapRecords[N]['key'], MapRecords[N]['value']>;

/** Every map of a store with its own key and value types. */
export interface TypedMaps {
  readonly sfcselect: Typed<'sfcselect'>;
  readonly sfcports: Typed<'sfcports'>;
  readonly sfcpath: Typed<'sfcpath'>;
  readonly sfcbackend: Typed<'sfcbackend'>;
  readonly sfcaffinity: Typed<'sfcaffinity'>;
  readonly sfcflow: Typed<'sfcflow'>;
  readonly sfcfragment: Typed<'sfcfragment'>;
  readonly sfcquota: Typed<'sfcquota'>;
  readonly endpoint: Typed<'endpoint'>;
  readonly peer: Typed<'peer'>;
  readonly sfcprobe: Typed<'sfcprobe'>;
  readonly metrics: PerCpuMap<MapRecords['metrics']['key'], MapRecords['metrics']['value']>;
}

/** Key and value codec of one map. */
export function mapCodecs<N extends MapName>(
  name: N,
  hostOrder: ByteOrder = HOST_ORDER,
): { readonly key: Codec<MapRecords[N]['key']>; readonly value: Codec<MapRecords[N]['value']> } {
  return { key: createCodec(MAPS[name].key, hostOrder), value: createCodec(MAPS[name].value, hostOrder) };
}

/** Opens every map of `store`. */
export function typedMaps(store: MapStore, hostOrder: ByteOrder = HOST_ORDER): TypedMaps {
  function typed<N extends MapName>(name: N): Typed<N> {
    const { key, value } = mapCodecs(name, hostOrder);
    return new TypedMap(store.raw(name), key, value);
  }
  const counters = mapCodecs('metrics', hostOrder);
  return {
    sfcselect: typed('sfcselect'),
    sfcports: typed('sfcports'),
    sfcpath: typed('sfcpath'),
    sfcbackend: typed('sfcbackend'),
    sfcaffinity: typed('sfcaffinity'),
    sfcflow: typed('sfcflow'),
    sfcfragment: typed('sfcfragment'),
    sfcquota: typed('sfcquota'),
    endpoint: typed('endpoint'),
    peer: typed('peer'),
    sfcprobe: typed('sfcprobe'),
    metrics: new PerCpuMap(store.raw('metrics'), counters.key, counters.value),
  };
}
