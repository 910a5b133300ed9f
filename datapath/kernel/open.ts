/** Opening the kernel datapath: check the object, adopt what is pinned, load, attach. */

import { randomInt } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { SfcError } from '../../errors/index.js';
import { MAP_NAMES, MAPS, type MapName, type MapStore } from '../../maps/index.js';
import type { AttachedInterface, Datapath, TroubledInterface, UplinkInterface } from '../datapath.js';
import { closeFd, KernelError } from '../libc.js';
import { type AttachMethod, type Attachment, attachPrograms, detachPrograms, type Place, troubleOf } from './attach.js';
import { checkLayouts } from './layout-check.js';
import { checked, checkedPointer, libbpf, type Pointer } from './libbpf.js';
import { mapInfo, PinDirectory } from './pins.js';
import { type AttachOrder, PROGRAM_NAMES, PROGRAMS_AT, type ProgramName, type ProgramPlace } from './program.js';
import { KernelMap, KernelStore } from './store.js';
import { hasTcx, linkedInterfaces } from './tcx.js';

export interface KernelOptions {
  /** The compiled object, `sfc.bpf.o`. */
  readonly object: string;
  /** Where a bpffs is, or shall be mounted. */
  readonly pinDirectory: string;
  /** UDP port of steering, host order. */
  readonly port: number;
  /** Entries by map; what is not named has the layout's default. */
  readonly capacities?: Partial<Record<MapName, number>>;
  /** Remove what is pinned before loading. */
  readonly reset?: boolean;
  /** How to attach; by default TCX where the kernel has it. */
  readonly method?: AttachMethod;
  /** Where ours stand among others' programs; by default first. */
  readonly order?: AttachOrder;
}

interface Loaded {
  readonly object: Pointer;
  readonly programs: Record<ProgramName, number>;
  readonly maps: ReadonlyMap<MapName, KernelMap>;
  readonly epoch: number;
}

function capacitiesOf(options: KernelOptions): Record<MapName, number> {
  return Object.fromEntries(MAP_NAMES.map((name) => [name, options.capacities?.[name] ?? MAPS[name].capacity])) as Record<MapName, number>;
}

/** Opens, checks and loads the object. Maps of `pinned` are used instead of new ones. */
function load(options: KernelOptions, pinned: ReadonlyMap<MapName, number>): Loaded {
  const api = libbpf();
  if (!existsSync(options.object))
    throw new SfcError('BPF_LOAD', `the compiled BPF program ${options.object} is missing; \`make build\` makes it`);
  const object = checkedPointer(`open ${options.object}`, api.objectOpenFile(options.object, null));
  try {
    checkLayouts(object);
    const capacities = capacitiesOf(options);
    for (const name of MAP_NAMES) {
      const map = checkedPointer(`find map ${name}`, api.findMap(object, name));
      const fd = pinned.get(name);
      if (fd === undefined) checked(`size ${name}`, api.mapSetMaxEntries(map, capacities[name]));
      else checked(`reuse ${name}`, api.mapReuseFd(map, fd));
    }
    const epoch = setVariables(object, options.port);
    loadPrograms(object);
    const maps = new Map<MapName, KernelMap>();
    for (const name of MAP_NAMES) {
      const fd = checked(`descriptor of ${name}`, api.mapFd(api.findMap(object, name)));
      maps.set(name, new KernelMap(MAPS[name], fd, mapInfo(fd).capacity));
    }
    const programs = Object.fromEntries(
      PROGRAM_NAMES.map((name) => [
        name,
        checked(`descriptor of ${name}`, api.programFd(checkedPointer(`find ${name}`, api.findProgram(object, name)))),
      ]),
    ) as Record<ProgramName, number>;
    return { object, programs, maps, epoch };
  } catch (cause) {
    api.objectClose(object);
    if (cause instanceof SfcError) throw cause;
    const denied = cause instanceof KernelError && cause.errno === 'EPERM';
    throw new SfcError(denied ? 'BPF_UNAVAILABLE' : 'BPF_LOAD', cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** Where the verifier writes why it refuses a program; libbpf asks it only after a refusal. */
const VERIFIER_LOG_BYTES = 16 << 20;
/** The end of the log tells the instruction and the registers that it stumbled over. */
const VERIFIER_LOG_LINES = 20;

function loadPrograms(object: Pointer): void {
  const api = libbpf();
  const logs = PROGRAM_NAMES.map((name) => {
    const log = Buffer.alloc(VERIFIER_LOG_BYTES);
    api.programSetLog(checkedPointer(`find ${name}`, api.findProgram(object, name)), log, log.length);
    return log;
  });
  const result = Number(api.objectLoad(object));
  if (result >= 0) return;
  const cause = new KernelError('load the BPF program', -result);
  const lines = logs.flatMap((log) =>
    log
      .toString('latin1', 0, Math.max(0, log.indexOf(0)))
      .trim()
      .split('\n')
      .slice(-VERIFIER_LOG_LINES),
  );
  if (cause.errno === 'EPERM' || lines.every((line) => line === '')) throw cause;
  throw new SfcError('BPF_LOAD', `${cause.message}\n${lines.filter((line) => line !== '').join('\n')}`, { cause });
}

/**
 * Sets the two global variables: `steering_port`, alone in `.rodata`, and `policy_epoch`, alone in
 * `.data.policy`. Returns the epoch: a random one, because flows may be adopted that were checked by the
 * program of another agent.
 */
function setVariables(object: Pointer, port: number): number {
  const set = (section: string, value: Buffer) => {
    const map = checkedPointer(`find ${section}`, libbpf().findMap(object, section));
    checked(`set ${section}`, libbpf().mapSetInitialValue(map, value, value.length));
  };
  const epoch = randomInt(2 ** 32);
  set('.rodata', Buffer.from(Uint16Array.of(port).buffer)); // typed arrays are in the machine's order, as C is
  set('.data.policy', Buffer.from(Uint32Array.of(epoch).buffer));
  return epoch;
}

/** Descriptor of the map behind `policy_epoch`. */
function dataMap(object: Pointer): number {
  return checked(
    'descriptor of .data.policy',
    libbpf().mapFd(checkedPointer('find .data.policy', libbpf().findMap(object, '.data.policy'))),
  );
}

class KernelDatapath implements Datapath {
  readonly kind = 'kernel';
  readonly store: MapStore;
  readonly adopted: readonly string[];
  readonly method: AttachMethod;
  readonly order: AttachOrder;
  /** Program descriptors, for BPF_PROG_TEST_RUN. */
  readonly programs: Readonly<Record<ProgramName, number>>;
  private readonly object: Pointer;
  private readonly pins: PinDirectory;
  private readonly interfaces = new Map<number, AttachedInterface>();
  /** Names by ifindex; of those that an agent before has left, empty. */
  private readonly uplinks: Map<number, string>;
  private epoch: number;
  private open = true;

  constructor(loaded: Loaded, pins: PinDirectory, adopted: readonly string[], { method, order }: Omit<Attachment, 'programs'>) {
    this.uplinks = new Map(pins.notedUplinks().map((ifindex) => [ifindex, '']));
    this.store = new KernelStore(loaded.maps, pins.directory);
    this.object = loaded.object;
    this.programs = loaded.programs;
    this.pins = pins;
    this.adopted = adopted;
    this.method = method;
    this.order = order;
    this.epoch = loaded.epoch;
  }

  attach(ifindex: number, ifname: string): AttachedInterface {
    const attached: AttachedInterface = { ifindex, ifname, method: this.method };
    const known = this.interfaces.get(ifindex);
    if (known?.ifname === ifname) return known;
    attachPrograms(this.pins, this, { ifindex, ifname, place: 'pod' });
    this.interfaces.set(ifindex, attached);
    return attached;
  }

  detach(ifindex: number): void {
    detachPrograms(this.pins, ifindex, this.method);
    this.interfaces.delete(ifindex);
  }

  troubled(): readonly TroubledInterface[] {
    return [...this.interfaces.values()].flatMap(({ ifindex, ifname }) => {
      const why = troubleOf(this, { ifindex, ifname, place: 'pod' });
      return why === '' ? [] : [{ ifindex, ifname, why }];
    });
  }

  restore(ifindex: number): void {
    const known = this.interfaces.get(ifindex);
    if (known !== undefined) attachPrograms(this.pins, this, { ifindex, ifname: known.ifname, place: 'pod' });
  }

  setUplinks(links: readonly UplinkInterface[]): readonly TroubledInterface[] {
    const wanted = new Set(links.map(({ ifindex }) => ifindex));
    for (const ifindex of [...this.uplinks.keys()].filter((one) => !wanted.has(one))) {
      detachPrograms(this.pins, ifindex, this.method);
      this.pins.forgetUplink(ifindex);
      this.uplinks.delete(ifindex);
    }
    return links.flatMap((link) => {
      const place: Place = { ...link, place: 'uplink' };
      try {
        const known = this.uplinks.get(link.ifindex) === link.ifname;
        // First: one that is noted and has none is easily forgotten, a program that nobody knows of stays.
        if (!known) this.pins.noteUplink(link.ifindex, this.programs.from_uplink);
        if (!known || troubleOf(this, place) !== '') attachPrograms(this.pins, this, place);
        this.uplinks.set(link.ifindex, link.ifname);
        return [];
      } catch (error) {
        this.pins.forgetUplink(link.ifindex);
        this.uplinks.delete(link.ifindex);
        return [{ ...link, why: error instanceof Error ? error.message : String(error) }];
      }
    });
  }

  attached(): readonly AttachedInterface[] {
    return [...this.interfaces.values()];
  }

  policyChanged(): void {
    this.epoch = (this.epoch + 1) >>> 0;
    const value = Buffer.from(Uint32Array.of(this.epoch).buffer);
    checked('announce the policy', libbpf().mapUpdate(dataMap(this.object), Buffer.alloc(4), value, 0));
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    libbpf().objectClose(this.object); // closes the maps' and programs' descriptors too
  }

  remove(): void {
    this.setUplinks([]);
    for (const ifindex of new Set([...this.interfaces.keys(), ...this.pins.linkedInterfaces()])) this.detach(ifindex);
    this.pins.remove();
  }
}

export type { KernelDatapath };

/**
 * Loads the program and its maps, adopting what an earlier agent pinned under `pinDirectory`, whose
 * links get the new program without a gap. Errors: `BPF_UNAVAILABLE`, `LAYOUT_DRIFT`,
 * `PINNED_STATE`, `BPF_LOAD`.
 */
export function openKernelDatapath(options: KernelOptions): KernelDatapath {
  const pins = new PinDirectory(options.pinDirectory);
  const method = options.method ?? (hasTcx() ? 'tcx' : 'clsact');
  const order = options.order ?? 'first';
  if (options.reset) pins.remove();
  pins.prepare();
  refuseOtherLayouts(pins);
  const pinned = pins.openMaps(capacitiesOf(options));
  const loaded = loadOrUndo(options, pinned, pins);
  for (const [name, map] of loaded.maps) if (!pinned.has(name)) checked(`pin ${name}`, libbpf().objPin(map.fd, pins.mapPath(name)));
  for (const name of PROGRAM_NAMES) pins.pinProgram(name, loaded.programs[name]);
  for (const fd of pinned.values()) closeFd(fd); // libbpf keeps its own copy
  const datapath = new KernelDatapath(loaded, pins, [...pinned.keys()], { method, order });
  // Pinned links run the program of the agent before: give them this one at once.
  if (method === 'tcx')
    for (const place of Object.keys(PROGRAMS_AT) as ProgramPlace[])
      for (const ifindex of linkedInterfaces(pins, PROGRAMS_AT[place]))
        attachPrograms(pins, datapath, { ifindex, ifname: `interface ${ifindex}`, place });
  return datapath;
}

/** A load that fails on a fresh start leaves nothing behind. */
function loadOrUndo(options: KernelOptions, pinned: ReadonlyMap<MapName, number>, pins: PinDirectory): Loaded {
  try {
    return load(options, pinned);
  } catch (error) {
    if (pinned.size === 0) pins.remove();
    throw error;
  }
}

/** Does the directory hold state of the kernel datapath, of whatever version? Its programs may be attached. */
export function hasPinnedState(pinDirectory: string): boolean {
  return existsSync(pinDirectory) && readdirSync(pinDirectory).some((name) => /^v\d+$/.test(name));
}

/** State of another layout version means flows that this version cannot read: say so instead of starting beside it. */
function refuseOtherLayouts(pins: PinDirectory): void {
  const others = readdirSync(pins.root).filter((name) => /^v\d+$/.test(name) && !pins.directory.endsWith(`/${name}`));
  if (others.length > 0)
    throw new SfcError(
      'PINNED_STATE',
      `${pins.root} holds state of layout ${others.join(', ')}; this version has ${pins.directory.split('/').pop()}`,
    );
}
