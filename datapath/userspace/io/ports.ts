/** The pods' interfaces of a node: what of their packets is caught, and the devices that it is caught into. */

import { ENDPOINT_FLAG, ENDPOINT_SELECTS, type TypedMaps } from '../../../maps/index.js';
import { closeFd, type Epoll } from '../../libc.js';
import { AddressTable } from './address-table.js';
import { batch } from './commands.js';
import { CLAIMS_DEVICE, NODE_DEVICE, receiverOf, senderOf, silence } from './devices.js';
import { catchClaims, catchFromPod, catchSteering, catchToPod, release, releaseAll, VERSIONS, type Version } from './filters.js';
import { openTun } from './tun.js';

/** Packets that wait for this process, per device. */
export const QUEUE = 1000;
const SELECTS = ENDPOINT_SELECTS.egress | ENDPOINT_SELECTS.ingress;
/** Bytes of the two addresses before an Ethernet type. */
const ETHERNET_ADDRESSES = 12;
const NO_ADDRESSES = { 4: '', 6: '' } as const;

/** A pod's interface. */
export interface Port {
  readonly ifindex: number;
  readonly ifname: string;
  /** Descriptor of the device of what it sends; -1 while that is not caught. */
  sender: number;
  /** Of what it is about to receive; -1 while only steering packets are caught. */
  receiver: number;
  /** Its addresses as the filters have them; empty while they have none. */
  addresses: Readonly<Record<Version, string>>;
  selected: boolean;
  /** A steered packet has come for it: it is a function or a destination, and its answers are needed. */
  reached: boolean;
  /** Ethernet addresses with which the node delivers to it; known once it has. */
  readonly ethernet: Uint8Array;
  met: boolean;
}

export interface PortsOptions {
  /** UDP port of steering. */
  readonly port: number;
  /** Are TCP segments taken whole? */
  readonly gso: boolean;
  /** The first endpoint that has an IPv6 address is there. */
  readonly onIpv6: () => void;
  /** A device is closed, and what was counted of it over. */
  readonly onClosed: (device: string) => void;
}

export class Ports {
  readonly #options: PortsOptions;
  readonly #maps: TypedMaps;
  readonly #epoll: Epoll;
  readonly #ports = new Map<number, Port>();
  readonly #senders = new Map<number, Port>();
  readonly #receivers = new Map<number, Port>();
  readonly #byAddress = new AddressTable<Port>();
  #ipv6 = false;

  constructor(maps: TypedMaps, epoll: Epoll, options: PortsOptions) {
    this.#maps = maps;
    this.#epoll = epoll;
    this.#options = options;
  }

  /** The port whose pod's packets come from this descriptor. */
  ofSender(fd: number): Port | undefined {
    return this.#senders.get(fd);
  }

  /** The port whose pod is about to receive what comes from this descriptor. */
  ofReceiver(fd: number): Port | undefined {
    return this.#receivers.get(fd);
  }

  /** The port of the pod that the IP packet at `start` is addressed to. */
  ofDestination(view: DataView, start: number, length: number): Port | undefined {
    return this.#byAddress.ofDestination(view, start, length);
  }

  /** Throws `COMMAND_FAILED`, `USERSPACE_UNAVAILABLE`. */
  attach(ifindex: number, ifname: string): void {
    if (this.#ports.get(ifindex)?.ifname === ifname) return;
    this.detach(ifindex);
    const ethernet = new Uint8Array(ETHERNET_ADDRESSES);
    const state = { sender: -1, receiver: -1, addresses: NO_ADDRESSES, selected: false, reached: false, met: false };
    const port: Port = { ifindex, ifname, ethernet, ...state };
    this.#ports.set(ifindex, port);
    try {
      catchClaims(ifname, this.#options.port, CLAIMS_DEVICE);
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
    this.#byAddress.deleteAll(port);
    releaseAll([port.ifname]);
    this.#closeSender(port);
    this.#closeReceiver(port);
  }

  /** Brings all filters in line with the endpoint entries. */
  refresh(): void {
    for (const port of this.#ports.values()) this.#catch(port);
  }

  /** The first steered packet for a pod: its answers must come this way before it can give one. */
  reach(port: Port): void {
    port.reached = true;
    this.#catch(port);
  }

  /** Every interface as before; the devices are still there. */
  release(): void {
    releaseAll([...this.#ports.values()].map(({ ifname }) => ifname));
  }

  /** Every device gone. */
  close(): void {
    for (const port of this.#ports.values()) {
      this.#closeSender(port);
      this.#closeReceiver(port);
    }
    this.#ports.clear();
  }

  /** Brings the filters of an interface in line with its endpoint entry. */
  #catch(port: Port): void {
    const endpoint = this.#maps.endpoint.get({ ifindex: port.ifindex });
    const flags = endpoint?.flags ?? 0;
    const bytes = {
      4: endpoint !== undefined && (flags & ENDPOINT_FLAG.ipv4) !== 0 ? endpoint.ipv4 : undefined,
      6: endpoint !== undefined && (flags & ENDPOINT_FLAG.ipv6) !== 0 ? endpoint.ipv6 : undefined,
    };
    const addresses = { 4: bytes[4]?.join('.') ?? '', 6: bytes[6] === undefined ? '' : ipv6Text(bytes[6]) };
    const selected = (flags & SELECTS) !== 0 && (addresses[4] !== '' || addresses[6] !== '');
    if (VERSIONS.some((version) => port.addresses[version] !== addresses[version])) this.#readdress(port, addresses, bytes);
    const sends = selected || port.reached;
    if (sends && port.sender < 0) this.#openSender(port);
    if (selected && !port.selected) this.#openReceiver(port);
    if (!selected && port.selected) {
      release(port.ifname, 'selected');
      this.#closeReceiver(port);
    }
    port.selected = selected;
    if (!sends && port.sender >= 0) {
      release(port.ifname, 'fromPod');
      this.#closeSender(port);
    }
  }

  #readdress(port: Port, addresses: Port['addresses'], bytes: Readonly<Record<Version, Uint8Array | undefined>>): void {
    this.#byAddress.deleteAll(port);
    release(port.ifname, 'steering');
    release(port.ifname, 'selected');
    port.selected = false;
    this.#closeReceiver(port);
    port.addresses = NO_ADDRESSES;
    for (const version of VERSIONS) {
      const address = bytes[version];
      if (address === undefined) continue;
      this.#byAddress.set(version, address.slice(), port);
      catchSteering(port.ifname, version, addresses[version], this.#options.port, NODE_DEVICE);
    }
    port.addresses = addresses;
    if (addresses[6] !== '' && !this.#ipv6) {
      this.#ipv6 = true;
      this.#options.onIpv6();
    }
  }

  #openSender(port: Port): void {
    const name = senderOf(port.ifindex);
    const fd = openTun({ name, layer: 'packets', offload: this.#options.gso ? 'segments' : 'packets' });
    try {
      silence(name);
      batch('ip', [`link set dev ${name} txqueuelen ${QUEUE} up`]);
      catchFromPod(port.ifname, name);
    } catch (error) {
      release(port.ifname, 'fromPod');
      closeFd(fd);
      throw error;
    }
    port.sender = fd;
    this.#senders.set(fd, port);
    this.#epoll.add(fd);
  }

  #openReceiver(port: Port): void {
    const name = receiverOf(port.ifindex);
    const fd = openTun({ name, layer: 'frames', offload: this.#options.gso ? 'tunnelled' : 'packets' });
    try {
      silence(name);
      batch('ip', [`link set dev ${name} arp off txqueuelen ${QUEUE} up`]);
      catchToPod(port.ifname, name);
    } catch (error) {
      release(port.ifname, 'selected');
      closeFd(fd);
      throw error;
    }
    port.receiver = fd;
    this.#receivers.set(fd, port);
    this.#epoll.add(fd);
  }

  #closeReceiver(port: Port): void {
    if (port.receiver < 0) return;
    this.#receivers.delete(port.receiver);
    this.#options.onClosed(receiverOf(port.ifindex));
    closeFd(port.receiver);
    port.receiver = -1;
  }

  #closeSender(port: Port): void {
    if (port.sender < 0) return;
    this.#senders.delete(port.sender);
    this.#options.onClosed(senderOf(port.ifindex));
    closeFd(port.sender);
    port.sender = -1;
  }
}

/** Sixteen bytes as tc(8) reads them: never shortened, so never ambiguous. */
function ipv6Text(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/(.{4})(?!$)/g, '$1:');
}
