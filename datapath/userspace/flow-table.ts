/** The flow table of the pipeline: one entry serves both directions of a flow at an endpoint. */

import { FAMILY, FLOW_FLAG, type HashMap, MAPS } from '../../maps/index.js';
import { add64, FLOW, FLOW_KEY } from './fields.js';
import type { PacketReader } from './packet.js';
import { nextTcpState } from './tcp-state.js';

const NONE = -1;
const ADDRESS_LENGTH = 16;
const VALUE_SIZE = MAPS.sfcflow.value.size;
const OLDER_SIGN = 0x8000_0000;

export class FlowTable {
  readonly #map: HashMap;
  readonly #table: HashMap['table'];
  readonly #little: boolean;
  readonly #key: Int32Array;
  readonly #keyView: DataView;
  /** Low and high half. */
  readonly #clock = new Uint32Array(2);
  /** The packet looked up last runs from a to b. */
  aToB = true;
  /** The key holds words of an address behind the first. */
  #wide = false;

  constructor(map: HashMap, little: boolean) {
    this.#map = map;
    this.#table = map.table;
    this.#little = little;
    this.#key = new Int32Array(map.spec.key.size / 4);
    this.#keyView = new DataView(this.#key.buffer);
  }

  get view(): DataView {
    return this.#table.view;
  }

  /** Byte at which the value of a slot begins. */
  at(slot: number): number {
    return slot * VALUE_SIZE;
  }

  /** Slot of the packet's flow, or -1. Counts as use. */
  find(ifindex: number, packet: PacketReader): number {
    const aToB = isOrdered(packet);
    this.aToB = aToB;
    // Word by word, as the table reads them: a word written in pieces would keep it waiting. Family, protocol and
    // padding are one, the two ports another.
    const key = this.#keyView;
    const { sourcePort, destinationPort } = packet;
    key.setUint32(FLOW_KEY.ifindex, ifindex, this.#little);
    key.setInt32(FLOW_KEY.family, (packet.family << 24) | (packet.protocol << 16));
    key.setInt32(FLOW_KEY.port_a, aToB ? (sourcePort << 16) | destinationPort : (destinationPort << 16) | sourcePort);
    if (packet.family === FAMILY.ipv6 || this.#wide) {
      packet.writeSource(key, aToB ? FLOW_KEY.address_a : FLOW_KEY.address_b);
      packet.writeDestination(key, aToB ? FLOW_KEY.address_b : FLOW_KEY.address_a);
      this.#wide = packet.family === FAMILY.ipv6;
    } else {
      key.setInt32(FLOW_KEY.address_a, aToB ? packet.source : packet.destination);
      key.setInt32(FLOW_KEY.address_b, aToB ? packet.destination : packet.source);
    }
    const slot = this.#table.find(this.#key);
    if (slot !== NONE) this.#table.use(slot);
    return slot;
  }

  /** Slot of another visit of the packet that was looked up last (docs/dataplane.md), or -1. Visit 0 is what `find` finds. */
  findVisit(visit: number): number {
    this.setVisit(visit);
    const slot = this.#table.find(this.#key);
    if (slot !== NONE) this.#table.use(slot);
    return slot;
  }

  /** Which visit of the packet that was looked up last `renew` adds. */
  setVisit(visit: number): void {
    const key = this.#keyView;
    key.setInt32(FLOW_KEY.family, (key.getInt32(FLOW_KEY.family) & ~(0xff << 8)) | (visit << 8));
  }

  get visit(): number {
    return this.#keyView.getUint8(FLOW_KEY.visit);
  }

  /** A fresh entry for the packet that was looked up last, in place of the one in `slot` if that is one. */
  renew(slot: number): number {
    if (slot === NONE) return this.#map.add(this.#key);
    this.#table.clear(slot);
    return slot;
  }

  remove(slot: number): void {
    this.#table.remove(slot);
  }

  isForward(slot: number): boolean {
    return ((this.flags(slot) & FLOW_FLAG.forwardAToB) !== 0) === this.aToB;
  }

  touch(slot: number, forward: boolean, bytes: number): void {
    const at = this.at(slot);
    this.seen(slot);
    add64(this.view, at + (forward ? FLOW.packets : FLOW.reply_packets), 1, this.#little);
    add64(this.view, at + (forward ? FLOW.bytes : FLOW.reply_bytes), bytes, this.#little);
  }

  seen(slot: number): void {
    const at = this.at(slot) + FLOW.last_seen;
    this.view.setUint32(this.#little ? at : at + 4, this.#clock[0] as number, this.#little);
    this.view.setUint32(this.#little ? at + 4 : at, this.#clock[1] as number, this.#little);
  }

  /** Sets the coarse monotonic clock, ns: once a batch is enough. Halves, because a number past 2^31 would be an object in each call. */
  setClock(now: number): void {
    this.#clock[0] = now % 2 ** 32;
    this.#clock[1] = Math.floor(now / 2 ** 32);
  }

  flags(slot: number): number {
    return this.view.getUint8(this.at(slot) + FLOW.flags);
  }

  setFlags(slot: number, flags: number): void {
    this.view.setUint8(this.at(slot) + FLOW.flags, flags);
  }
  role(slot: number): number {
    return this.view.getUint8(this.at(slot) + FLOW.role);
  }

  tcpState(slot: number): number {
    return this.view.getUint8(this.at(slot) + FLOW.tcp_state);
  }

  setTcpState(slot: number, state: number): void {
    this.view.setUint8(this.at(slot) + FLOW.tcp_state, state);
  }

  /** One more TCP packet, in this direction. */
  track(slot: number, forward: boolean, tcpFlags: number): void {
    this.setTcpState(slot, nextTcpState(this.tcpState(slot), forward, tcpFlags));
  }

  ttl(slot: number): number {
    return this.view.getUint8(this.at(slot) + FLOW.ttl);
  }

  setTtl(slot: number, ttl: number): void {
    this.view.setUint8(this.at(slot) + FLOW.ttl, ttl);
  }

  /** Inner TTL of the packet that arrived last, in this direction. */
  arrivalTtl(slot: number, forward: boolean): number {
    return this.view.getUint8(this.at(slot) + (forward ? FLOW.arrival_ttl : FLOW.reply_ttl));
  }

  setArrivalTtl(slot: number, forward: boolean, ttl: number): void {
    this.view.setUint8(this.at(slot) + (forward ? FLOW.arrival_ttl : FLOW.reply_ttl), ttl);
  }

  /** Of visit 0: the visit at which a packet arrived last. */
  latest(slot: number): number {
    return this.view.getUint8(this.at(slot) + FLOW.latest);
  }

  setLatest(slot: number, visit: number): void {
    this.view.setUint8(this.at(slot) + FLOW.latest, visit);
  }

  path(slot: number): number {
    return this.view.getUint32(this.at(slot) + FLOW.path);
  }

  nextPath(slot: number): number {
    return this.view.getUint32(this.at(slot) + FLOW.next_path);
  }

  generation(slot: number): number {
    return this.view.getUint32(this.at(slot) + FLOW.generation, this.#little);
  }

  epoch(slot: number): number {
    return this.view.getUint32(this.at(slot) + FLOW.epoch, this.#little);
  }

  setEpoch(slot: number, epoch: number): void {
    this.view.setUint32(this.at(slot) + FLOW.epoch, epoch, this.#little);
  }

  /** What an entry holds of its endpoint. */
  setOwner(slot: number, endpoint: number, role: number): void {
    const at = this.at(slot);
    this.view.setUint16(at + FLOW.endpoint, endpoint, this.#little);
    this.view.setUint8(at + FLOW.role, role);
  }

  setPath(slot: number, path: number): void {
    this.view.setUint32(this.at(slot) + FLOW.path, path);
  }

  /** MTU of the path to a hop as a router told it; 0: none did. */
  pathMtu(slot: number, hop: Hop): number {
    return this.view.getUint16(this.at(slot) + hop.pathMtu, this.#little);
  }

  setPathMtu(slot: number, hop: Hop, mtu: number): void {
    this.view.setUint16(this.at(slot) + hop.pathMtu, mtu, this.#little);
  }

  /** Family of a hop. */
  familyOf(slot: number, hop: Hop): number {
    return this.view.getUint8(this.at(slot) + hop.family);
  }

  /** Is that hop who sent the packet, and is the endpoint's address for it the one that the packet came to? */
  isBetween(slot: number, hop: Hop, packet: PacketReader): boolean {
    const at = this.at(slot);
    return packet.isFrom(this.view, at + hop.address) && packet.isTo(this.view, at + hop.local);
  }

  /** The packet, which is an outer one, has come from the previous hop. */
  setPreviousHop(slot: number, packet: PacketReader): void {
    const at = this.at(slot);
    packet.writeSource(this.view, at + PREVIOUS.address);
    packet.writeDestination(this.view, at + PREVIOUS.local);
    this.view.setUint8(at + PREVIOUS.family, packet.family);
  }

  /** Where forward packets of a flow come from, at an entry that knows the rest. */
  setArrival(slot: number, packet: PacketReader, ttl: number): void {
    this.setPreviousHop(slot, packet);
    this.setPathMtu(slot, PREVIOUS, 0);
    this.setFlags(slot, this.flags(slot) | FLOW_FLAG.previousHop);
    this.setTtl(slot, ttl);
  }

  /** Remembers that forward packets leave plainly. */
  rememberPlain(slot: number, nextPath: number, generation: number): void {
    this.#remember(slot, nextPath, generation);
    this.setFlags(slot, (this.flags(slot) & ~FLOW_FLAG.nextHop) | FLOW_FLAG.resolved);
  }

  /** Remembers the next hop: 16 bytes of `hop`, and 16 of `local` from `localAt` on, the endpoint's address of its family. */
  remember(slot: number, nextPath: number, hop: DataView, family: number, local: DataView, localAt: number, generation: number): void {
    const at = this.at(slot);
    const { view } = this;
    this.#remember(slot, nextPath, generation);
    let same = true;
    for (let word = 0; word < ADDRESS_LENGTH; word += 4) {
      if (view.getInt32(at + NEXT.address + word) !== hop.getInt32(word)) same = false;
      view.setInt32(at + NEXT.address + word, hop.getInt32(word));
      view.setInt32(at + NEXT.local + word, family === FAMILY.ipv4 && word > 0 ? 0 : local.getInt32(localAt + word));
    }
    if (!same) this.setPathMtu(slot, NEXT, 0); // it was another hop's
    view.setUint8(at + NEXT.family, family);
    this.setFlags(slot, this.flags(slot) | FLOW_FLAG.nextHop | FLOW_FLAG.resolved);
  }

  #remember(slot: number, nextPath: number, generation: number): void {
    const at = this.at(slot);
    this.view.setUint32(at + FLOW.next_path, nextPath);
    this.view.setUint32(at + FLOW.generation, generation, this.#little);
  }
}

/** Where an entry holds one of its hops. */
export interface Hop {
  readonly address: number;
  readonly local: number;
  readonly family: number;
  readonly pathMtu: number;
}
export const NEXT: Hop = { address: FLOW.next_hop, local: FLOW.next_local, family: FLOW.next_family, pathMtu: FLOW.next_path_mtu };
export const PREVIOUS: Hop = {
  address: FLOW.previous_hop,
  local: FLOW.previous_local,
  family: FLOW.previous_family,
  pathMtu: FLOW.previous_path_mtu,
};

/** Is (source, port) the lower of the packet's two ends? Compared as bytes: unsigned words. */
function isOrdered(packet: PacketReader): boolean {
  if (packet.source !== packet.destination) return (packet.source ^ OLDER_SIGN) < (packet.destination ^ OLDER_SIGN);
  if (packet.source1 !== packet.destination1) return (packet.source1 ^ OLDER_SIGN) < (packet.destination1 ^ OLDER_SIGN);
  if (packet.source2 !== packet.destination2) return (packet.source2 ^ OLDER_SIGN) < (packet.destination2 ^ OLDER_SIGN);
  if (packet.source3 !== packet.destination3) return (packet.source3 ^ OLDER_SIGN) < (packet.destination3 ^ OLDER_SIGN);
  return packet.sourcePort <= packet.destinationPort;
}
