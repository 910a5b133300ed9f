/**
 * Pinned state: what outlives the agent. Everything of one layout lies under `<pinDir>/v<layout>`:
 * the maps by name, `programs/<program>`, `links/<ifindex>-<program>` for the attachments that TCX links hold, and
 * `uplinks/<ifindex>`, the program once more, for the links of the node that have it, however it hangs there.
 */

import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { LAYOUT_VERSION, MAP_NAMES, MAPS, type MapKind, type MapName } from '../../maps/index.js';
import { closeFd, type KernelError, mountBpffs } from '../libc.js';
import { checked, libbpf } from './libbpf.js';

const BPF_FS_MAGIC = 0xcafe4a11;

/** enum bpf_map_type (linux/bpf.h). */
const MAP_TYPE: Readonly<Record<MapKind, number>> = { hash: 1, array: 2, 'percpu-array': 6, 'lru-hash': 9, 'lpm-trie': 11 };
/** BPF_F_NO_PREALLOC, which the kernel demands of an LPM trie. */
const MAP_FLAGS: Readonly<Record<MapKind, number>> = { hash: 0, array: 0, 'percpu-array': 0, 'lru-hash': 0, 'lpm-trie': 1 };

export interface MapInfo {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly capacity: number;
  readonly flags: number;
}

/** struct bpf_map_info: type, id, key_size, value_size, max_entries, map_flags, then more. */
export function mapInfo(fd: number): MapInfo {
  const info = Buffer.alloc(128);
  checked('read map info', libbpf().objInfo(fd, info, [info.length]));
  return {
    type: info.readUInt32LE(0),
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    capacity: info.readUInt32LE(16),
    flags: info.readUInt32LE(20),
  };
}

export class PinDirectory {
  /** The bpffs. */
  readonly root: string;
  /** Where this layout's state lies. */
  readonly directory: string;
  readonly links: string;
  readonly programs: string;
  readonly uplinks: string;

  constructor(root: string) {
    this.root = root;
    this.directory = join(root, `v${LAYOUT_VERSION}`);
    this.links = join(this.directory, 'links');
    this.programs = join(this.directory, 'programs');
    this.uplinks = join(this.directory, 'uplinks');
  }

  /** Mounts a bpffs where there is none and makes the folders. */
  prepare(): void {
    mkdirSync(this.root, { recursive: true });
    if (statfsSync(this.root).type !== BPF_FS_MAGIC) mountBpffs(this.root);
    for (const folder of [this.links, this.programs, this.uplinks]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  mapPath(name: MapName): string {
    return join(this.directory, name);
  }

  /** Pins a program in place of the one of the agent before. */
  pinProgram(name: string, fd: number): void {
    const path = join(this.programs, name);
    rmSync(path, { force: true });
    checked(`pin ${name}`, libbpf().objPin(fd, path));
  }

  linkPath(ifindex: number, program: string): string {
    return join(this.links, `${ifindex}-${program}`);
  }

  /** Interfaces that have a pinned link. */
  linkedInterfaces(): number[] {
    return numbersIn(this.links);
  }

  /** Links of the node that were noted and not forgotten. */
  notedUplinks(): number[] {
    return numbersIn(this.uplinks);
  }

  /** In place of what an agent before has noted: that would keep its program. */
  noteUplink(ifindex: number, programFd: number): void {
    this.forgetUplink(ifindex);
    checked(`note the uplink ${ifindex}`, libbpf().objPin(programFd, join(this.uplinks, String(ifindex))));
  }

  forgetUplink(ifindex: number): void {
    rmSync(join(this.uplinks, String(ifindex)), { force: true });
  }

  /**
   * Descriptors of the maps that are pinned. Every difference to what this version expects is
   * reported at once, and nothing is opened halfway.
   */
  openMaps(capacities: Readonly<Record<MapName, number>>): Map<MapName, number> {
    const opened = new Map<MapName, number>();
    const differences: string[] = [];
    for (const name of MAP_NAMES) {
      if (!existsSync(this.mapPath(name))) continue;
      const fd = openPin(this.mapPath(name));
      opened.set(name, fd);
      differences.push(...compare(name, mapInfo(fd), capacities[name]));
    }
    if (differences.length > 0) {
      for (const fd of opened.values()) closeFd(fd);
      throw new SfcError('PINNED_STATE', `maps pinned under ${this.directory} do not fit: ${differences.join('; ')}`);
    }
    return opened;
  }

  /** Unpins everything of every layout. Attachments that only a pin held end with it. */
  remove(): void {
    if (!existsSync(this.root) || statfsSync(this.root).type !== BPF_FS_MAGIC) return;
    for (const name of readdirSync(this.root)) if (/^v\d+$/.test(name)) rmSync(join(this.root, name), { recursive: true, force: true });
  }
}

/** The numbers that the names of a folder's files begin with. */
function numbersIn(folder: string): number[] {
  if (!existsSync(folder)) return [];
  return [...new Set(readdirSync(folder).map((name) => Number.parseInt(name, 10)))].filter(Number.isInteger);
}

/** @throws SfcError BPF_UNAVAILABLE where this process may not, MAP_IO */
function openPin(path: string): number {
  try {
    return checked(`open ${path}`, libbpf().objGet(path));
  } catch (cause) {
    const { errno, message } = cause as KernelError;
    throw new SfcError(errno === 'EPERM' ? 'BPF_UNAVAILABLE' : 'MAP_IO', message, { cause });
  }
}

function compare(name: MapName, found: MapInfo, capacity: number): string[] {
  const spec = MAPS[name];
  const expected: MapInfo = {
    type: MAP_TYPE[spec.kind],
    keySize: spec.key.size,
    valueSize: spec.value.size,
    capacity,
    flags: MAP_FLAGS[spec.kind],
  };
  const fields = Object.keys(expected) as (keyof MapInfo)[];
  return fields
    .filter((field) => found[field] !== expected[field])
    .map((field) => `${name} has ${field} ${found[field]}, expected ${expected[field]}`);
}
