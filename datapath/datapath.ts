/** What the agent needs of a datapath, whichever moves the packets. */

import type { MapStore } from '../maps/index.js';

export interface AttachedInterface {
  readonly ifindex: number;
  readonly ifname: string;
  /** How the programs hang there. */
  readonly method: 'tcx' | 'clsact' | 'tun';
}

export interface UplinkInterface {
  readonly ifindex: number;
  readonly ifname: string;
}

export interface TroubledInterface {
  readonly ifindex: number;
  readonly ifname: string;
  /** What others have done, in words. */
  readonly why: string;
}

export interface Datapath {
  readonly kind: 'kernel' | 'userspace';
  readonly store: MapStore;
  /** Names of what was already pinned and is now in use; empty on a fresh start. */
  readonly adopted: readonly string[];
  /** Attaches from-pod and to-pod to the host side of a pod's interface. Idempotent. */
  attach(ifindex: number, ifname: string): AttachedInterface;
  /** Removes both programs; an interface that is gone is fine. Idempotent. */
  detach(ifindex: number): void;
  /** Interfaces where others have taken our programs away, or put theirs where ours shall stand. Cheap: asked every second. */
  troubled(): readonly TroubledInterface[];
  /** Puts both programs back. Throws what `attach` does. */
  restore(ifindex: number): void;
  attached(): readonly AttachedInterface[];
  /**
   * These links of the node, and no others, have the program for answers that come past the chain (docs/dataplane.md). Idempotent;
   * puts back what others have taken away.
   * @returns those where that could not be done; on the userspace datapath none has one, and none is in trouble
   */
  setUplinks(links: readonly UplinkInterface[]): readonly TroubledInterface[];
  /** Endpoint entries were written: every flow is checked against its endpoint's at its next packet. */
  policyChanged(): void;
  /** Lets go of descriptors. What is pinned and attached stays and keeps moving packets. */
  close(): void;
  /** Detaches everything and removes every pin. */
  remove(): void;
}
