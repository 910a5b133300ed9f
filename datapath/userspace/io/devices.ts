/** The devices of the userspace datapath in a node's settings and tables (Documentation/networking/ip-sysctl.rst). */

import { readFileSync, writeFileSync } from 'node:fs';

/** The node's side; a pod's device has its interface's number behind `sfc`, and none has 0. */
export const NODE_DEVICE = 'sfc0';
/** The device of what a pod sends. */
export const senderOf = (ifindex: number): string => `sfc${ifindex}`;
/** One device for all pods: what they send and the datapath has no other business with, but that may claim to be steering traffic. */
export const CLAIMS_DEVICE = 'sfcs0';
const RECEIVER = 'sfcr';
/** The device of what a selected pod is about to receive. */
export const receiverOf = (ifindex: number): string => `${RECEIVER}${ifindex}`;
/** Does the device carry what pods are about to receive? */
export const isTowardsPods = (device: string): boolean => device === NODE_DEVICE || device.startsWith(RECEIVER);

/** False where the kernel has no such setting: one without IPv6. */
function set(setting: string, value: '0' | '1'): boolean {
  try {
    writeFileSync(`/proc/sys/net/${setting}`, value);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return false;
  }
}

/** The kernel itself shall not talk on a device of ours that it hands packets to. */
export function silence(device: string): void {
  set(`ipv6/conf/${device}/disable_ipv6`, '1');
}

/** Commands of ip(8) that make a device one from which the node takes packets of both versions, and on which it says nothing. */
export function takePackets(device: string): readonly string[] {
  // What comes back from the datapath has sources that the node does not reach through this device.
  set(`ipv4/conf/${device}/rp_filter`, '0');
  if (!set(`ipv6/conf/${device}/disable_ipv6`, '0')) return [];
  set(`ipv6/conf/${device}/accept_ra`, '0');
  // No address of its own: nothing to look for duplicates of, and no groups to report.
  return [`link set dev ${device} addrgenmode none multicast off`];
}

/** Packets for which a device of ours had no room so far, by name: the fourth figure of the sending half of /proc/net/dev. */
export function queueDrops(): Map<string, number> {
  const drops = new Map<string, number>();
  for (const line of readFileSync('/proc/thread-self/net/dev', 'utf8').split('\n')) {
    const [, name, figures] = /^\s*(sfc[rs]?\d+):(.*)$/.exec(line) ?? [];
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
    // rp_filter 1 is strict, and the stricter of `all` and the device counts.
    ...(read('conf/all/rp_filter') === '1'
      ? ['net.ipv4.conf.all.rp_filter is 1 (strict): steered packets return by another device than they left by, set it to 0 or 2']
      : []),
  ];
}

/** The same of IPv6, for nodes whose pods have it. */
export function hostileIpv6Settings(): readonly string[] {
  try {
    const forwards = readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8').trim() !== '0';
    return forwards ? [] : ['net.ipv6.conf.all.forwarding is 0: a node with IPv6 pods forwards, set it to 1'];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return ['a pod has an IPv6 address, and this kernel has no IPv6'];
  }
}
