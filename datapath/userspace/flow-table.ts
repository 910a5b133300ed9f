/** The flow table of the pipeline: one entry serves both directions of a flow at an endpoint. */

import { FAMILY, FLOW_FLAG, type HashMap } from '../../maps/index.js';
import { add64, FLOW, FLOW_KEY } from './fields.js';
import type { PacketReader } from './packet.js';
import { nextTcpState } from './tcp-state.js';

const NONE = -1;
const ADDRESS_LENGTH = 16;
const OLDER_SIGN = 0x8000_0000;

export class FlowTable {
  readonly #map: HashMap;
  readonly #little: boolean;
  readonly #key: Int32Array;
  readonly #keyView: DataView;
  /** Low and high half. */
  readonly #clock = new Uint32Array(2);
  /** The packet looked up last runs from a to b. */
  aToB = true;

  constructor(map: HashMap, little: boolean) {
    this.#map = map;
    this.#little = little;
    this.#key = new Int32Array(map.spec.key.size / 4);
    this.#keyView = new DataView(this.#key.buffer);
  }

  get view(): DataView {
    return this.#map.table.view;
  }

  /** Byte at which the value of a slot begins. */
  at(slot: number): number {
    return slot * this.#map.table.valueSize;
  }

  /** Slot of the packet's flow, or -1. Counts as use. */
  find(ifindex: number, packet: PacketReader): number {
    const key = this.#keyView;
    // Compared as bytes: unsigned words.
    const source = packet.source ^ OLDER_SIGN;
    const destination = packet.destination ^ OLDER_SIGN;
    this.aToB = source === destination ? packet.sourcePort <= packet.destinationPort : source < destination;
    key.setUint32(FLOW_KEY.ifindex, ifindex, this.#little);
    key.setUint8(FLOW_KEY.family, FAMILY.ipv4);
    key.setUint8(FLOW_KEY.protocol, packet.protocol);
    key.setInt32(FLOW_KEY.address_a, this.aToB ? packet.source : packet.destination);
    key.setInt32(FLOW_KEY.address_b, this.aToB ? packet.destination : packet.source);
    key.setUint16(FLOW_KEY.port_a, this.aToB ? packet.sourcePort : packet.destinationPort);
    key.setUint16(FLOW_KEY.port_b, this.aToB ? packet.destinationPort : packet.sourcePort);
    const slot = this.#map.table.find(this.#key);
    if (slot !== NONE) this.#map.table.use(slot);
    return slot;
  }

  /** A fresh entry for the packet that was looked up last, in place of the one in `slot` if that is one. */
  renew(slot: number): number {
    if (slot === NONE) return this.#map.add(this.#key);
    this.#map.table.clear(slot);
    return slot;
  }

  remove(slot: number): void {
    this.#map.table.remove(slot);
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

  flags = (slot: number): number => this.view.getUint8(this.at(slot) + FLOW.flags);
  setFlags(slot: number, flags: number): void {
    this.view.setUint8(this.at(slot) + FLOW.flags, flags);
  }
  role = (slot: number): number => this.view.getUint8(this.at(slot) + FLOW.role);
  tcpState = (slot: number): number => this.view.getUint8(this.at(slot) + FLOW.tcp_state);
  setTcpState(slot: number, state: number): void {
    this.view.setUint8(this.at(slot) + FLOW.tcp_state, state);
  }
  /** One more TCP packet, in this direction. */
  track(slot: number, forward: boolean, tcpFlags: number): void {
    this.setTcpState(slot, nextTcpState(this.tcpState(slot), forward, tcpFlags));
  }
  ttl = (slot: number): number => this.view.getUint8(this.at(slot) + FLOW.ttl);
  setTtl(slot: number, ttl: number): void {
    this.view.setUint8(this.at(slot) + FLOW.ttl, ttl);
  }
  path = (slot: number): number => this.view.getUint32(this.at(slot) + FLOW.path);
  nextPath = (slot: number): number => this.view.getUint32(this.at(slot) + FLOW.next_path);
  previousHop = (slot: number): number => this.view.getInt32(this.at(slot) + FLOW.previous_hop);
  nextHop = (slot: number): number => this.view.getInt32(this.at(slot) + FLOW.next_hop);
  local = (slot: number): number => this.view.getInt32(this.at(slot) + FLOW.local);
  generation = (slot: number): number => this.view.getUint32(this.at(slot) + FLOW.generation, this.#little);
  epoch = (slot: number): number => this.view.getUint32(this.at(slot) + FLOW.epoch, this.#little);
  setEpoch(slot: number, epoch: number): void {
    this.view.setUint32(this.at(slot) + FLOW.epoch, epoch, this.#little);
  }

  /** What an entry holds of its endpoint. */
  setOwner(slot: number, endpoint: number, role: number, local: number): void {
    const at = this.at(slot);
    this.view.setUint16(at + FLOW.endpoint, endpoint, this.#little);
    this.view.setUint8(at + FLOW.role, role);
    this.view.setInt32(at + FLOW.local, local);
    this.view.setUint8(at + FLOW.local_family, FAMILY.ipv4);
  }

  setPath(slot: number, path: number): void {
    this.view.setUint32(this.at(slot) + FLOW.path, path);
  }

  setPreviousHop(slot: number, address: number): void {
    this.view.setInt32(this.at(slot) + FLOW.previous_hop, address);
    this.view.setUint8(this.at(slot) + FLOW.previous_family, FAMILY.ipv4);
  }

  /** Remembers a decision: the next hop, or that the packet leaves plain (undefined). */
  remember(slot: number, nextPath: number, nextHop: number | undefined, generation: number): void {
    const at = this.at(slot);
    const { view } = this;
    view.setUint32(at + FLOW.next_path, nextPath);
    view.setUint32(at + FLOW.generation, generation, this.#little);
    if (nextHop === undefined) {
      this.setFlags(slot, (this.flags(slot) & ~FLOW_FLAG.nextHop) | FLOW_FLAG.resolved);
      return;
    }
    for (let word = 4; word < ADDRESS_LENGTH; word += 4) view.setInt32(at + FLOW.next_hop + word, 0);
    view.setInt32(at + FLOW.next_hop, nextHop);
    view.setUint8(at + FLOW.next_family, FAMILY.ipv4);
    this.setFlags(slot, this.flags(slot) | FLOW_FLAG.nextHop | FLOW_FLAG.resolved);
  }
}
