/**
 * The kernel's maps behind the `RawMap` interface. Bulk work goes through the batch calls: one
 * look-up through the foreign function interface costs about 2 µs, a batch of 1,024 not much more.
 */

import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { type MapName, type MapSpec, type MapStore, perCpuStride, type RawMap } from '../../maps/index.js';
import { closeFd, KernelError } from '../libc.js';
import { lastErrno, libbpf } from './libbpf.js';

const ENOENT = 2;
const E2BIG = 7;
const ENOMEM = 12;
const ENOSPC = 28;
const BATCH = 1024;
const BPF_ANY = 0n;

type Entry = readonly [key: Uint8Array, value: Uint8Array];

export class KernelMap implements RawMap {
  readonly spec: MapSpec;
  readonly capacity: number;
  readonly fd: number;
  /** Bytes that the kernel copies a value: one slot a CPU in a per-CPU map. */
  private readonly valueBytes: number;

  constructor(spec: MapSpec, fd: number, capacity: number) {
    this.spec = spec;
    this.fd = fd;
    this.capacity = capacity;
    this.valueBytes = spec.kind === 'percpu-array' ? perCpuStride(spec.value.size) * Number(libbpf().possibleCpus()) : spec.value.size;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.valueBytes);
    if (Number(libbpf().mapLookup(this.fd, key, value)) === 0) return value;
    this.unlessMissing('look up');
    return undefined;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    if (Number(libbpf().mapUpdate(this.fd, key, value, BPF_ANY)) !== 0) this.fail('update', lastErrno());
  }

  delete(key: Uint8Array): boolean {
    if (Number(libbpf().mapDelete(this.fd, key)) === 0) return true;
    this.unlessMissing('delete');
    return false;
  }

  size(): number {
    if (this.spec.kind.endsWith('array')) return this.capacity;
    return this.keys().length;
  }

  *entries(): Generator<Entry> {
    if (this.spec.kind === 'array' || this.spec.kind === 'hash' || this.spec.kind === 'lru-hash') yield* this.batches();
    else
      for (const key of this.keys()) {
        const value = this.get(key);
        if (value !== undefined) yield [key, value]; // gone between the two calls: no longer an entry
      }
  }

  setMany(entries: readonly Entry[]): void {
    for (let start = 0; start < entries.length; start += BATCH) {
      const part = entries.slice(start, start + BATCH);
      const keys = Buffer.concat(part.map(([key]) => key));
      const values = Buffer.concat(part.map(([, value]) => value));
      const count = [part.length];
      if (Number(libbpf().mapUpdateBatch(this.fd, keys, values, count, null)) !== 0)
        this.fail(`update of ${entries.length} entries, ${start + (count[0] ?? 0)} done,`, lastErrno());
    }
  }

  /** Missing keys are fine: a batch stops at the first, so deletion goes key by key. */
  deleteMany(keys: readonly Uint8Array[]): void {
    for (const key of keys) this.delete(key);
  }

  private keys(): Uint8Array[] {
    const found: Uint8Array[] = [];
    let previous: Uint8Array | null = null;
    for (;;) {
      const next = new Uint8Array(this.spec.key.size);
      if (Number(libbpf().mapNextKey(this.fd, previous, next)) !== 0) {
        this.unlessMissing('next key');
        return found;
      }
      found.push(next);
      previous = next;
      if (found.length > this.capacity * 2) return found; // a key deleted meanwhile restarts the walk: bounded
    }
  }

  private *batches(): Generator<Entry> {
    const { key, value } = this.spec;
    const position = new Uint8Array(Math.max(key.size, 8));
    let first = true;
    // A hash bucket is returned whole or not at all (ENOSPC): the buffer grows until it fits.
    let room = BATCH;
    for (;;) {
      const keys = new Uint8Array(room * key.size);
      const values = new Uint8Array(room * value.size);
      const count = [room];
      const failed = Number(libbpf().mapLookupBatch(this.fd, first ? null : position, position, keys, values, count, null)) !== 0;
      const errno = failed ? lastErrno() : 0;
      if (failed && errno === ENOSPC) {
        room *= 2;
        continue;
      }
      if (failed && errno !== ENOENT) this.fail('batch look-up', errno);
      for (let i = 0; i < (count[0] ?? 0); i++)
        yield [keys.slice(i * key.size, (i + 1) * key.size), values.slice(i * value.size, (i + 1) * value.size)];
      if (failed) return; // ENOENT: that was the last batch
      first = false;
    }
  }

  private unlessMissing(operation: string): void {
    const errno = lastErrno();
    if (errno !== ENOENT) this.fail(operation, errno);
  }

  private fail(operation: string, errno: number): never {
    const cause = new KernelError(`${operation} in ${this.spec.name}`, errno);
    const full = errno === E2BIG || errno === ENOSPC || errno === ENOMEM;
    throw new SfcError(
      full ? 'MAP_FULL' : 'MAP_IO',
      full ? `map ${this.spec.name} is full (capacity ${this.capacity})` : `map ${this.spec.name}: ${cause.message}`,
      { cause },
    );
  }
}

/** The maps by descriptor; takes the descriptors over. */
export class KernelStore implements MapStore {
  readonly kind = 'kernel';
  private readonly maps: ReadonlyMap<MapName, KernelMap>;
  private readonly directory: string;

  constructor(maps: ReadonlyMap<MapName, KernelMap>, directory: string) {
    this.maps = maps;
    this.directory = directory;
  }

  raw(name: MapName): KernelMap {
    const map = this.maps.get(name);
    if (map === undefined) throw new SfcError('NOT_FOUND', `no map ${name} in this store`);
    return map;
  }

  pinPath(name: MapName): string {
    return join(this.directory, name);
  }

  close(): void {
    for (const map of this.maps.values()) closeFd(map.fd);
  }
}
