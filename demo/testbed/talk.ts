/** What a talker and its listener say: to each other, and to who started them. */

export interface TalkOrder {
  readonly server: string;
  readonly port: number;
}

/** Whom the talker talks for from now on, or no longer. `namespace`: a named network namespace. */
export type TalkChange = { readonly begin: number; readonly namespace: string } | { readonly end: number };

/** What a pod has sent. */
export interface Talked {
  readonly id: number;
  /** Datagrams. */
  readonly sent: number;
  /** Of the first that the kernel took, ms of CLOCK_MONOTONIC. */
  readonly firstAt: number;
}

/** The first datagram of a pod that arrived. */
export interface Arrived {
  readonly id: number;
  /** Number of it: so many were sent before. */
  readonly sequence: number;
  readonly sentAt: number;
}

/** Bytes of a datagram: id and sequence as u32, when it was sent as a double, all big-endian. */
export const TALK_LENGTH = 16;
