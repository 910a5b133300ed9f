/**
 * Packets in, packets out: the devices of the userspace datapath around the pipeline.
 *
 *     pod ─► ingress filter ─► sfc<ifindex> (TUN) ─► from-pod ─► sfc0 (TAP) ─► the node's routing
 *                              sfcs0 (TUN), of pods that nothing selects: dropped, or the same way
 *     pod ◄─ packet socket ◄─ to-pod ◄─ sfc0 (TAP) ◄─ egress filter ◄─ the node's routing
 *
 * A pod's own device carries packets, `sfc0` carries frames: what is delivered keeps the Ethernet addresses
 * with which the node would have delivered it, and the kernel takes tunnelled segments in frames only.
 * One buffer, one packet at a time. Inner and outer packet may be of different IP versions: what leaves is
 * labelled by its own first bits.
 */

import { SfcError } from '../../../errors/index.js';
import { DIRECTION, type MemoryStore, typedMaps } from '../../../maps/index.js';
import { addressOf, closeFd, EAGAIN, EBADFD, Epoll, errnoName, readAt, writeAt } from '../../libc.js';
import { Pipeline, VERDICT } from '../pipeline.js';
import { OVERHEAD } from '../tunnel.js';
import { batch } from './commands.js';
import {
  CLAIMS_DEVICE,
  hostileIpv6Settings,
  isTowardsPods,
  NODE_DEVICE,
  queueDrops,
  receiverOf,
  senderOf,
  silence,
  takePackets,
} from './devices.js';
import { leftoverInterfaces, releaseAll } from './filters.js';
import { PacketSocket } from './packet-socket.js';
import { type Port, Ports, QUEUE } from './ports.js';
import { steeringVersion } from './steering-version.js';
import { hasTunnelledSegments, openTun } from './tun.js';
import { PACKET_SOCKET_HEADER, segmentLength, unwrapVirtioHeader, VIRTIO_HEADER, wrapVirtioHeader } from './virtio-header.js';

/** Locally administered: of the device, and of what is sent into it. */
const MAC = { device: '02:53:46:43:00:01', sender: '02:53:46:43:00:02' } as const;
/** Bytes of an Ethernet header without tags. */
const ETHERNET = 14;
const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd } as const;
/** The largest IP packet (RFC 8200 3: 65,535 bytes behind the header), with what stands before it. */
const LARGEST = 40 + 65_535 + ETHERNET + VIRTIO_HEADER;
/** Where a virtio header is kept while outer headers are written over it. */
const KEPT_AT = 0;
/** Where a read begins: room for outer headers with an Ethernet and a virtio header of their own before them. */
const READ_AT = VIRTIO_HEADER + ETHERNET + OVERHEAD;
/** Where the second packet of one that was read stands in a buffer of its own: behind its Ethernet header and an empty virtio header. */
const ANSWER_AT = VIRTIO_HEADER + ETHERNET;
/** Packets of one device before the others get their turn. */
const BATCH = 64;
/** Between two warnings about packets. */
const QUIET_NS = 1e9;

export interface PlaneOptions {
  /** UDP port of steering. */
  readonly port: number;
  /** Take TCP segments whole where the kernel offers it. */
  readonly gso: boolean;
  readonly warn: (message: string) => void;
  /** CLOCK_MONOTONIC, ns: the clock of the kernel datapath's flows. */
  readonly monotonic: () => number;
}

export class Plane {
  /** Are TCP segments taken whole? */
  readonly gso: boolean;
  readonly #options: PlaneOptions;
  readonly #pipeline: Pipeline;
  readonly #epoll = new Epoll(16);
  readonly #socket: PacketSocket;
  readonly #node: number;
  readonly #claims: number;
  /** Bytes of virtio header before each packet that is read: none, or all of it. */
  readonly #header: number;
  readonly #little: boolean;
  readonly #buffer = new Uint8Array(READ_AT + LARGEST);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #base = addressOf(this.#buffer);
  readonly #answer: Uint8Array;
  readonly #answerView: DataView;
  readonly #answerBase: number;
  /** Destination and source of what goes to the node. */
  readonly #ethernet = new Uint8Array(ETHERNET - 2);
  readonly #ports: Ports;
  readonly #lost = new Map<string, number>();
  #toldAt = Number.NEGATIVE_INFINITY;

  /** Makes the devices. Throws `USERSPACE_UNAVAILABLE`, `ALREADY_RUNNING`, `COMMAND_FAILED`. */
  constructor(store: MemoryStore, options: PlaneOptions) {
    this.#options = options;
    this.#pipeline = new Pipeline(store, { port: options.port });
    this.#answer = new Uint8Array(ANSWER_AT + this.#pipeline.answer.length);
    this.#answerView = new DataView(this.#answer.buffer);
    this.#answerBase = addressOf(this.#answer);
    this.#little = store.hostOrder === 'LE';
    // This device is also the lock of the network namespace: nothing of another agent is touched before.
    this.gso = options.gso && hasTunnelledSegments(NODE_DEVICE);
    this.#header = this.gso ? VIRTIO_HEADER : 0;
    this.#node = openTun({ name: NODE_DEVICE, layer: 'frames', offload: this.gso ? 'tunnelled' : 'packets' });
    releaseAll(leftoverInterfaces());
    this.#socket = new PacketSocket(this.gso);
    batch('ip', [...takePackets(NODE_DEVICE), `link set dev ${NODE_DEVICE} address ${MAC.device} arp off txqueuelen ${QUEUE} up`]);
    this.#claims = openTun({ name: CLAIMS_DEVICE, layer: 'packets', offload: this.gso ? 'segments' : 'packets' });
    silence(CLAIMS_DEVICE);
    batch('ip', [`link set dev ${CLAIMS_DEVICE} txqueuelen ${QUEUE} up`]);
    const macs = [MAC.device, MAC.sender].flatMap((mac) => mac.split(':').map((byte) => Number.parseInt(byte, 16)));
    this.#ethernet.set(macs);
    this.#epoll.add(this.#node);
    this.#epoll.add(this.#claims);
    this.#ports = new Ports(typedMaps(store), this.#epoll, {
      port: options.port,
      gso: this.gso,
      onIpv6: () => hostileIpv6Settings().forEach(options.warn),
      onClosed: (device) => this.#lost.delete(device),
    });
  }

  /** Wakes `wait` when `fd` is readable. */
  watch(fd: number): void {
    this.#epoll.add(fd);
  }

  attach(ifindex: number, ifname: string): void {
    this.#ports.attach(ifindex, ifname);
  }

  detach(ifindex: number): void {
    this.#ports.detach(ifindex);
  }

  /** Endpoint entries were written. */
  policyChanged(): void {
    this.#pipeline.epoch = (this.#pipeline.epoch + 1) >>> 0;
    this.#ports.refresh();
  }

  /** Every interface as before, every device gone. */
  close(): void {
    this.#ports.release();
    this.countOverruns();
    this.#ports.close();
    this.#epoll.close();
    this.#socket.close();
    closeFd(this.#claims);
    closeFd(this.#node);
  }

  /** Number of readable descriptors after at most `timeout` ms. */
  wait(timeout: number): number {
    return this.#epoll.wait(timeout);
  }

  /** The `index`th of them. */
  readable(index: number): number {
    return this.#epoll.readable(index);
  }

  /**
   * Moves packets of one device until it has none, or a batch is full, or `interrupted`. False: the descriptor is none
   * of ours. Throws `DATAPATH_LOST` when somebody has removed the device.
   */
  pump(fd: number, interrupted: () => boolean): boolean {
    const port = this.#ports.ofSender(fd);
    const receiver = this.#ports.ofReceiver(fd);
    const isClaim = fd === this.#claims;
    if (port === undefined && receiver === undefined && fd !== this.#node && !isClaim) return false;
    const direction = port === undefined && !isClaim ? DIRECTION.toPod : DIRECTION.fromPod;
    this.#pipeline.setClock(this.#options.monotonic());
    for (let moved = 0; moved < BATCH && !interrupted(); moved++) {
      const length = readAt(fd, this.#base + READ_AT, LARGEST);
      if (length < 0) {
        if (length === -EBADFD)
          throw new SfcError('DATAPATH_LOST', `the device ${isClaim ? CLAIMS_DEVICE : deviceOf(port, receiver)} was removed`);
        if (length !== -EAGAIN) this.#failed('read', length, direction, 0);
        break;
      }
      try {
        if (port === undefined && !isClaim) this.#toPod(receiver, length);
        else this.#fromPod(port, length);
      } catch (error) {
        this.#pipeline.count('io-failed', direction, length);
        this.#warn(`a packet of ${length} bytes: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
    return true;
  }

  /** Without a port: of one of the pods that send past the datapath. */
  #fromPod(port: Port | undefined, length: number): void {
    const pipeline = this.#pipeline;
    const header = this.#header;
    const at = READ_AT + header;
    if (length <= header) return;
    if (header !== 0) this.#buffer.copyWithin(KEPT_AT, READ_AT, at);
    pipeline.segment = header === 0 ? 0 : segmentLength(this.#view, KEPT_AT, at, this.#little);
    const verdict =
      port === undefined
        ? pipeline.fromStranger(this.#view, at, length - header)
        : pipeline.fromPod(port.ifindex, this.#view, at, length - header);
    if (pipeline.answers && port !== undefined) this.#answerPod(port);
    if (verdict !== VERDICT.pass) return;
    if (pipeline.ended) this.#ended();
    this.#toNode(ETHERNET, at, DIRECTION.fromPod);
  }

  /**
   * Gives what the pipeline has left to the node's routing. It stood at `at` before; the virtio header that was read
   * stands at `KEPT_AT`, and `moved` bytes of link header were not there for it yet.
   */
  #toNode(moved: number, at: number, direction: number): void {
    const { start, length } = this.#pipeline;
    this.#buffer.set(this.#ethernet, start - ETHERNET);
    this.#view.setUint16(start - 2, ethertypeAt(this.#view, start));
    const from = start - ETHERNET - this.#header;
    if (this.#header !== 0) this.#moveHeader(from, moved, at - start, start, length);
    const written = writeAt(this.#node, this.#base + from, start - from + length);
    if (written < 0) this.#failed('send', written, direction, length);
  }

  /** Writes the virtio header at `from`: the packet has `overhead` bytes of outer headers more than before. */
  #moveHeader(from: number, moved: number, overhead: number, start: number, length: number): void {
    const outer = overhead === 0 ? 4 : steeringVersion(this.#view, start, length, this.#options.port);
    if (outer !== 0) {
      wrapVirtioHeader(this.#view, KEPT_AT, from, moved, ETHERNET, overhead, outer, this.#little);
      return;
    }
    unwrapVirtioHeader(this.#view, KEPT_AT, from, -overhead, ETHERNET, this.#little);
    this.#buffer.fill(0, from + PACKET_SOCKET_HEADER, from + this.#header); // in no tunnel
  }

  /** A frame for `receiver`'s pod; without one, for the pod whose address it carries. */
  #toPod(receiver: Port | undefined, length: number): void {
    const pipeline = this.#pipeline;
    const header = this.#header;
    const frame = READ_AT + header;
    const at = frame + ETHERNET;
    const size = length - header - ETHERNET;
    if (size <= 0) return;
    const port = receiver ?? this.#ports.ofDestination(this.#view, at, size);
    if (port === undefined) return; // its pod has gone meanwhile
    if (header !== 0) this.#buffer.copyWithin(KEPT_AT, READ_AT, frame);
    pipeline.segment = header === 0 ? 0 : segmentLength(this.#view, KEPT_AT, at, this.#little);
    const verdict = pipeline.toPod(port.ifindex, this.#view, at, size);
    if (pipeline.answers) this.#answerNode();
    if (verdict === VERDICT.onward) this.#toNode(0, at, DIRECTION.toPod);
    if (verdict !== VERDICT.pass) return;
    if (pipeline.ended) this.#ended();
    if (!port.met) this.#meet(port, frame);
    const overhead = pipeline.start - at;
    const ethertype = ethertypeAt(this.#view, pipeline.start);
    if (overhead !== 0) {
      if (!port.reached) this.#ports.reach(port);
      this.#buffer.copyWithin(frame + overhead, frame, at);
      this.#view.setUint16(pipeline.start - 2, ethertype);
    }
    let from = frame + overhead;
    if (header !== 0) {
      from -= PACKET_SOCKET_HEADER;
      unwrapVirtioHeader(this.#view, KEPT_AT, from, overhead, ETHERNET, this.#little);
    }
    const sent = this.#socket.send(port.ifindex, ethertype, this.#base + from, frame + overhead - from + ETHERNET + pipeline.length);
    if (sent < 0) this.#failed(`deliver to ${port.ifname}`, sent, DIRECTION.toPod, pipeline.length);
  }

  /** The packet has become a RST with right checksums: nothing that was unfinished of it is. */
  #ended(): void {
    this.#buffer.fill(0, KEPT_AT, KEPT_AT + this.#header);
  }

  /** The pipeline's second packet, to the pod. One that was never delivered to is not told: nobody knows its Ethernet address. */
  #answerPod(port: Port): void {
    if (!port.met) return;
    const length = this.#takeAnswer(port.ethernet);
    const from = ANSWER_AT - ETHERNET - (this.#header === 0 ? 0 : PACKET_SOCKET_HEADER);
    const ethertype = ethertypeAt(this.#answerView, ANSWER_AT);
    const sent = this.#socket.send(port.ifindex, ethertype, this.#answerBase + from, ANSWER_AT - from + length);
    if (sent < 0) this.#failed(`answer ${port.ifname}`, sent, DIRECTION.fromPod, length);
  }

  /** The same, to the node. */
  #answerNode(): void {
    const length = this.#takeAnswer(this.#ethernet);
    const from = ANSWER_AT - ETHERNET - this.#header;
    const written = writeAt(this.#node, this.#answerBase + from, ANSWER_AT - from + length);
    if (written < 0) this.#failed('answer', written, DIRECTION.toPod, length);
  }

  /** Puts the answer behind an Ethernet header with these addresses; its length, as its IP header says. */
  #takeAnswer(ethernet: Uint8Array): number {
    const view = this.#answerView;
    this.#answer.set(ethernet, ANSWER_AT - ETHERNET);
    this.#answer.set(this.#pipeline.answer, ANSWER_AT);
    const ethertype = ethertypeAt(view, ANSWER_AT);
    view.setUint16(ANSWER_AT - 2, ethertype);
    return ethertype === ETHERTYPE.ipv6 ? 40 + view.getUint16(ANSWER_AT + 4) : view.getUint16(ANSWER_AT + 2);
  }

  /** The first frame for a pod: it tells how the node addresses it. */
  #meet(port: Port, frame: number): void {
    port.ethernet.set(this.#buffer.subarray(frame, frame + port.ethernet.length));
    port.met = true;
  }

  /** Counts what the devices' queues had no room for since the last time. */
  countOverruns(): void {
    for (const [device, dropped] of queueDrops()) {
      const before = this.#lost.get(device) ?? 0;
      this.#lost.set(device, dropped);
      if (dropped <= before) continue;
      this.#pipeline.count('overrun', isTowardsPods(device) ? DIRECTION.toPod : DIRECTION.fromPod, 0, dropped - before);
    }
  }

  #failed(what: string, errno: number, direction: number, bytes: number): void {
    this.#pipeline.count('io-failed', direction, bytes);
    this.#warn(`could not ${what}: ${errnoName(errno)}`);
  }

  /** At most one a second: a flood of packets is no flood of log lines. */
  #warn(message: string): void {
    const now = this.#options.monotonic();
    if (now - this.#toldAt < QUIET_NS) return;
    this.#toldAt = now;
    this.#options.warn(message);
  }
}

function deviceOf(sender: Port | undefined, receiver: Port | undefined): string {
  if (sender !== undefined) return senderOf(sender.ifindex);
  return receiver === undefined ? NODE_DEVICE : receiverOf(receiver.ifindex);
}

function ethertypeAt(view: DataView, at: number): number {
  return view.getUint8(at) >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4;
}
