/**
 * Packets in, packets out: the devices of the userspace datapath around the pipeline.
 *
 *     pod ─► ingress filter ─► sfc<ifindex> (TUN) ─► from-pod ─► sfc0 (TAP) ─► the node's routing
 *     pod ◄─ packet socket ◄─ to-pod ◄─ sfc0 (TAP) ◄─ egress filter ◄─ the node's routing
 *
 * A pod's own device carries packets, `sfc0` carries frames: what is delivered keeps the Ethernet header
 * with which the node would have delivered it, and the kernel takes tunnelled segments in frames only.
 * One buffer, one packet at a time.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { SfcError } from '../../../errors/index.js';
import { DIRECTION, ENDPOINT_FLAG, ENDPOINT_SELECTS, type MemoryStore, type TypedMaps, typedMaps } from '../../../maps/index.js';
import { addressOf, closeFd, EAGAIN, EBADFD, Epoll, errnoName, readAt, writeAt } from '../../libc.js';
import { MESSAGE_MAX } from '../icmp.js';
import { Pipeline, VERDICT } from '../pipeline.js';
import { OVERHEAD } from '../tunnel.js';
import { batch } from './commands.js';
import { catchFromPod, catchSteering, catchToPod, leftoverInterfaces, release, releaseAll } from './filters.js';
import { PacketSocket } from './packet-socket.js';
import { hasTunnelledSegments, openTun } from './tun.js';
import { PACKET_SOCKET_HEADER, unwrapVirtioHeader, VIRTIO_HEADER, wrapVirtioHeader } from './virtio-header.js';

/** The node's side; a pod's device has its interface's number behind `sfc`, and none has 0. */
const NODE_DEVICE = 'sfc0';
/** Locally administered: of the device, and of what is sent into it. */
const MAC = { device: '02:53:46:43:00:01', sender: '02:53:46:43:00:02' } as const;
/** Bytes of an Ethernet header without tags. */
const ETHERNET = 14;
const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd } as const;
/** The largest IP packet, with what stands before it. */
const LARGEST = 65_535 + ETHERNET + VIRTIO_HEADER;
/** Where a virtio header is kept while outer headers are written over it. */
const KEPT_AT = 0;
/** Where a read begins: room for outer headers with an Ethernet and a virtio header of their own before them. */
const READ_AT = VIRTIO_HEADER + ETHERNET + OVERHEAD;
/** Where the second packet of one that was read stands in a buffer of its own: behind its Ethernet header and an empty virtio header. */
const ANSWER_AT = VIRTIO_HEADER + ETHERNET;
/** Packets of one device before the others get their turn. */
const BATCH = 64;
/** Packets that wait for this process, per device. */
const QUEUE = 1000;
const SELECTS = ENDPOINT_SELECTS.egress | ENDPOINT_SELECTS.ingress;
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

/** A pod's interface. */
interface Port {
  readonly ifindex: number;
  readonly ifname: string;
  /** The device of what it sends; -1 while that is not caught. */
  fd: number;
  /** The device of what it is about to receive; -1 while only steering packets are caught. */
  receiver: number;
  /** Its address as the filters have it; empty while they have none. */
  address: string;
  selected: boolean;
  /** A steered packet has come for it: it is a function or a destination, and its answers are needed. */
  reached: boolean;
  /** Ethernet addresses with which the node delivers to it; known once it has. */
  readonly ethernet: Uint8Array;
  met: boolean;
}

export class Plane {
  /** Are TCP segments taken whole? */
  readonly gso: boolean;
  readonly #options: PlaneOptions;
  readonly #maps: TypedMaps;
  readonly #pipeline: Pipeline;
  readonly #epoll = new Epoll(16);
  readonly #socket: PacketSocket;
  readonly #node: number;
  /** Bytes of virtio header before each packet that is read: none, or all of it. */
  readonly #header: number;
  readonly #little: boolean;
  readonly #buffer = new Uint8Array(READ_AT + LARGEST);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #base = addressOf(this.#buffer);
  readonly #answer = new Uint8Array(ANSWER_AT + MESSAGE_MAX);
  readonly #answerBase = addressOf(this.#answer);
  /** Destination and source of what goes to the node. */
  readonly #ethernet = new Uint8Array(ETHERNET - 2);
  readonly #ports = new Map<number, Port>();
  readonly #byDevice = new Map<number, Port>();
  readonly #byReceiver = new Map<number, Port>();
  readonly #byAddress = new Map<number, Port>();
  readonly #lost = new Map<string, number>();
  #toldAt = Number.NEGATIVE_INFINITY;

  /** Makes the devices. Throws `USERSPACE_UNAVAILABLE`, `ALREADY_RUNNING`, `COMMAND_FAILED`. */
  constructor(store: MemoryStore, options: PlaneOptions) {
    this.#options = options;
    this.#maps = typedMaps(store);
    this.#pipeline = new Pipeline(store, { port: options.port });
    this.#little = store.hostOrder === 'LE';
    // This device is also the lock of the network namespace: nothing of another agent is touched before.
    this.gso = options.gso && hasTunnelledSegments(NODE_DEVICE);
    this.#header = this.gso ? VIRTIO_HEADER : 0;
    this.#node = openTun({ name: NODE_DEVICE, layer: 'frames', offload: this.gso ? 'tunnelled' : 'packets' });
    releaseAll(leftoverInterfaces());
    this.#socket = new PacketSocket(this.gso);
    quieten(NODE_DEVICE);
    // What comes back from the datapath has sources that the node does not reach through this device.
    writeFileSync(`/proc/sys/net/ipv4/conf/${NODE_DEVICE}/rp_filter`, '0');
    batch('ip', [`link set dev ${NODE_DEVICE} address ${MAC.device} arp off txqueuelen ${QUEUE} up`]);
    const macs = [MAC.device, MAC.sender].flatMap((mac) => mac.split(':').map((byte) => Number.parseInt(byte, 16)));
    this.#ethernet.set(macs);
    new DataView(this.#answer.buffer).setUint16(ANSWER_AT - 2, ETHERTYPE.ipv4);
    this.#epoll.add(this.#node);
  }

  /** Wakes `wait` when `fd` is readable. */
  watch(fd: number): void {
    this.#epoll.add(fd);
  }

  attach(ifindex: number, ifname: string): void {
    if (this.#ports.get(ifindex)?.ifname === ifname) return;
    this.detach(ifindex);
    const ethernet = new Uint8Array(ETHERNET - 2);
    const port: Port = { ifindex, ifname, fd: -1, receiver: -1, address: '', selected: false, reached: false, ethernet, met: false };
    this.#ports.set(ifindex, port);
    try {
      this.#catch(port);
    } catch (error) {
      this.detach(ifindex);
      throw error;
    }
  }

  detach(ifindex: number): void {
    const port = this.#ports.get(ifindex);
    if (port === undefined) return;
    this.#ports.delete(ifindex);
    this.#forgetAddress(port);
    releaseAll([port.ifname]);
    this.#closeDevice(port);
    this.#closeReceiver(port);
  }

  /** Endpoint entries were written. */
  policyChanged(): void {
    this.#pipeline.epoch = (this.#pipeline.epoch + 1) >>> 0;
    for (const port of this.#ports.values()) this.#catch(port);
  }

  /** Every interface as before, every device gone. */
  close(): void {
    releaseAll([...this.#ports.values()].map(({ ifname }) => ifname));
    this.countOverruns();
    for (const port of this.#ports.values()) {
      this.#closeDevice(port);
      this.#closeReceiver(port);
    }
    this.#ports.clear();
    this.#epoll.close();
    this.#socket.close();
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
    const port = this.#byDevice.get(fd);
    const receiver = this.#byReceiver.get(fd);
    if (port === undefined && receiver === undefined && fd !== this.#node) return false;
    const direction = port === undefined ? DIRECTION.toPod : DIRECTION.fromPod;
    this.#pipeline.setClock(this.#options.monotonic());
    for (let moved = 0; moved < BATCH && !interrupted(); moved++) {
      const length = readAt(fd, this.#base + READ_AT, LARGEST);
      if (length < 0) {
        if (length === -EBADFD)
          throw new SfcError(
            'DATAPATH_LOST',
            `the device ${port !== undefined ? deviceOf(port) : receiver !== undefined ? receiverOf(receiver) : NODE_DEVICE} was removed`,
          );
        if (length !== -EAGAIN) this.#failed('read', length, direction, 0);
        break;
      }
      try {
        if (port === undefined) this.#toPod(receiver, length);
        else this.#fromPod(port, length);
      } catch (error) {
        this.#pipeline.count('io-failed', direction, length);
        this.#warn(`a packet of ${length} bytes: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
    return true;
  }

  #fromPod(port: Port, length: number): void {
    const pipeline = this.#pipeline;
    const header = this.#header;
    const at = READ_AT + header;
    if (length <= header) return;
    if (header !== 0) this.#buffer.copyWithin(KEPT_AT, READ_AT, at);
    if (pipeline.fromPod(port.ifindex, this.#view, at, length - header) !== VERDICT.pass) return;
    if (pipeline.ended) this.#ended();
    if (pipeline.answers) this.#answerPod(port);
    this.#toNode(ETHERNET, at - pipeline.start, DIRECTION.fromPod);
  }

  /**
   * Gives what the pipeline has left to the node's routing. The virtio header that was read stands at `KEPT_AT`;
   * `moved` bytes of link header were not there for it yet, `overhead` bytes of outer headers are new: gone, below 0.
   */
  #toNode(moved: number, overhead: number, direction: number): void {
    const { start, length } = this.#pipeline;
    this.#buffer.set(this.#ethernet, start - ETHERNET);
    this.#view.setUint16(start - 2, this.#view.getUint8(start) >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4);
    const from = start - ETHERNET - this.#header;
    if (this.#header !== 0 && overhead >= 0) wrapVirtioHeader(this.#view, KEPT_AT, from, moved, ETHERNET, overhead, this.#little);
    else if (this.#header !== 0) {
      unwrapVirtioHeader(this.#view, KEPT_AT, from, -overhead, ETHERNET, this.#little);
      this.#buffer.fill(0, from + PACKET_SOCKET_HEADER, from + this.#header); // in no tunnel
    }
    const written = writeAt(this.#node, this.#base + from, start - from + length);
    if (written < 0) this.#failed('send', written, direction, length);
  }

  /** A frame for `receiver`'s pod; without one, for the pod whose address it carries. */
  #toPod(receiver: Port | undefined, length: number): void {
    const pipeline = this.#pipeline;
    const header = this.#header;
    const frame = READ_AT + header;
    const at = frame + ETHERNET;
    if (length < header + ETHERNET + 20) return; // no IPv4 packet: the filters catch nothing else
    const port = receiver ?? this.#byAddress.get(this.#view.getInt32(at + 16));
    if (port === undefined) return; // its pod has gone meanwhile
    if (header !== 0) this.#buffer.copyWithin(KEPT_AT, READ_AT, frame);
    const verdict = pipeline.toPod(port.ifindex, this.#view, at, length - header - ETHERNET);
    if (verdict === VERDICT.onward) this.#toNode(0, at - pipeline.start, DIRECTION.toPod);
    if (verdict !== VERDICT.pass) return;
    if (pipeline.ended) this.#ended();
    if (pipeline.answers) this.#answerNode();
    if (!port.met) this.#meet(port, frame);
    const overhead = pipeline.start - at;
    if (overhead !== 0) {
      if (!port.reached) this.#reach(port);
      this.#buffer.copyWithin(frame + overhead, frame, at);
    }
    let from = frame + overhead;
    if (header !== 0) {
      from -= PACKET_SOCKET_HEADER;
      unwrapVirtioHeader(this.#view, KEPT_AT, from, overhead, ETHERNET, this.#little);
    }
    const size = frame + overhead - from + ETHERNET + pipeline.length;
    const sent = this.#socket.send(port.ifindex, this.#base + from, size);
    if (sent < 0) this.#failed(`deliver to ${port.ifname}`, sent, DIRECTION.toPod, pipeline.length);
  }

  /** The packet has become a RST with right checksums: nothing that was unfinished of it is. */
  #ended(): void {
    this.#buffer.fill(0, KEPT_AT, KEPT_AT + this.#header);
  }

  /** The pipeline's second packet, to the pod. One that was never delivered to is not told: nobody knows its Ethernet address. */
  #answerPod(port: Port): void {
    if (!port.met) return;
    this.#answer.set(port.ethernet, ANSWER_AT - ETHERNET);
    this.#answer.set(this.#pipeline.answer, ANSWER_AT);
    const from = ANSWER_AT - ETHERNET - (this.#header === 0 ? 0 : PACKET_SOCKET_HEADER);
    const sent = this.#socket.send(port.ifindex, this.#answerBase + from, ANSWER_AT - from + this.#pipeline.answerLength);
    if (sent < 0) this.#failed(`answer ${port.ifname}`, sent, DIRECTION.fromPod, this.#pipeline.answerLength);
  }

  /** The same, to the node. */
  #answerNode(): void {
    this.#answer.set(this.#ethernet, ANSWER_AT - ETHERNET);
    this.#answer.set(this.#pipeline.answer, ANSWER_AT);
    const from = ANSWER_AT - ETHERNET - this.#header;
    const written = writeAt(this.#node, this.#answerBase + from, ANSWER_AT - from + this.#pipeline.answerLength);
    if (written < 0) this.#failed('answer', written, DIRECTION.toPod, this.#pipeline.answerLength);
  }

  /** The first frame for a pod: it tells how the node addresses it. */
  #meet(port: Port, frame: number): void {
    port.ethernet.set(this.#buffer.subarray(frame, frame + port.ethernet.length));
    port.met = true;
  }

  /** The first steered packet for a pod: its answers must come this way before it can give one. */
  #reach(port: Port): void {
    port.reached = true;
    this.#catch(port);
  }

  /** Brings the filters of an interface in line with its endpoint entry. */
  #catch(port: Port): void {
    const endpoint = this.#maps.endpoint.get({ ifindex: port.ifindex });
    const address = endpoint === undefined || (endpoint.flags & ENDPOINT_FLAG.ipv4) === 0 ? '' : endpoint.ipv4.join('.');
    const selected = endpoint !== undefined && (endpoint.flags & SELECTS) !== 0 && address !== '';
    if (port.address !== address) {
      this.#forgetAddress(port);
      release(port.ifname, 'steering');
      release(port.ifname, 'selected');
      port.selected = false;
      this.#closeReceiver(port);
      if (address !== '' && endpoint !== undefined) {
        this.#byAddress.set(addressWord(endpoint.ipv4), port);
        catchSteering(port.ifname, address, this.#options.port, NODE_DEVICE);
      }
      port.address = address;
    }
    const sends = selected || port.reached;
    if (sends && port.fd < 0) this.#openDevice(port);
    if (selected && !port.selected) this.#openReceiver(port);
    if (!selected && port.selected) {
      release(port.ifname, 'selected');
      this.#closeReceiver(port);
    }
    port.selected = selected;
    if (!sends && port.fd >= 0) {
      release(port.ifname, 'fromPod');
      this.#closeDevice(port);
    }
  }

  #openDevice(port: Port): void {
    const name = deviceOf(port);
    const fd = openTun({ name, layer: 'packets', offload: this.gso ? 'segments' : 'packets' });
    try {
      quieten(name);
      batch('ip', [`link set dev ${name} txqueuelen ${QUEUE} up`]);
      catchFromPod(port.ifname, name);
    } catch (error) {
      release(port.ifname, 'fromPod');
      closeFd(fd);
      throw error;
    }
    port.fd = fd;
    this.#byDevice.set(fd, port);
    this.#epoll.add(fd);
  }

  #openReceiver(port: Port): void {
    const name = receiverOf(port);
    const fd = openTun({ name, layer: 'frames', offload: this.gso ? 'tunnelled' : 'packets' });
    try {
      quieten(name);
      batch('ip', [`link set dev ${name} arp off txqueuelen ${QUEUE} up`]);
      catchToPod(port.ifname, name);
    } catch (error) {
      release(port.ifname, 'selected');
      closeFd(fd);
      throw error;
    }
    port.receiver = fd;
    this.#byReceiver.set(fd, port);
    this.#epoll.add(fd);
  }

  #closeReceiver(port: Port): void {
    if (port.receiver < 0) return;
    this.#byReceiver.delete(port.receiver);
    this.#lost.delete(receiverOf(port));
    closeFd(port.receiver);
    port.receiver = -1;
  }

  #closeDevice(port: Port): void {
    if (port.fd < 0) return;
    this.#byDevice.delete(port.fd);
    this.#lost.delete(deviceOf(port));
    closeFd(port.fd);
    port.fd = -1;
  }

  #forgetAddress(port: Port): void {
    for (const [word, owner] of this.#byAddress) if (owner === port) this.#byAddress.delete(word);
  }

  /** Counts what the devices' queues had no room for since the last time. */
  countOverruns(): void {
    for (const [device, dropped] of queueDrops()) {
      const before = this.#lost.get(device) ?? 0;
      this.#lost.set(device, dropped);
      if (dropped <= before) continue;
      this.#pipeline.count(
        'overrun',
        device === NODE_DEVICE || device.startsWith(RECEIVER) ? DIRECTION.toPod : DIRECTION.fromPod,
        0,
        dropped - before,
      );
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

/** The device of what a pod sends. */
const deviceOf = ({ ifindex }: Port): string => `sfc${ifindex}`;
/** The device of what a selected pod is about to receive. */
const RECEIVER = 'sfcr';
const receiverOf = ({ ifindex }: Port): string => `${RECEIVER}${ifindex}`;

const addressWord = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0);

/** The kernel itself shall not talk on a device of ours. */
function quieten(device: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, '1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // a kernel without IPv6
  }
}

/** Packets for which a device of ours had no room so far, by name: the fourth figure of the sending half of /proc/net/dev. */
function queueDrops(): Map<string, number> {
  const drops = new Map<string, number>();
  for (const line of readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n')) {
    const [, name, figures] = /^\s*(sfcr?\d+):(.*)$/.exec(line) ?? [];
    if (name !== undefined) drops.set(name, Number(figures?.trim().split(/\s+/)[11] ?? 0));
  }
  return drops;
}

/** Does a userspace datapath run in this network namespace? */
export function isDeviceThere(): boolean {
  return new RegExp(`^\\s*${NODE_DEVICE}:`, 'm').test(readFileSync('/proc/thread-self/net/dev', 'utf8'));
}

/** Why this machine's settings would drop what the datapath hands back to it; empty when they do not. */
export function hostileSettings(): readonly string[] {
  const read = (name: string) => readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim();
  return [
    ...(read('ip_forward') === '0' ? ['net.ipv4.ip_forward is 0: a node forwards, set it to 1'] : []),
    // rp_filter 1 is strict, and the stricter of `all` and the device counts (ip-sysctl.rst).
    ...(read('conf/all/rp_filter') === '1'
      ? ['net.ipv4.conf.all.rp_filter is 1 (strict): steered packets return by another device than they left by, set it to 0 or 2']
      : []),
  ];
}
