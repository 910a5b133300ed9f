/**
 * Every verdict and drop reason of the datapath, declared once: C, TypeScript, the CLI and the docs
 * take them from here. Numbers are append-only (a `metrics` map outlives the agent that pinned it).
 */

export type ReasonClass = 'forwarded' | 'passed' | 'dropped';

export interface Reason {
  readonly number: number;
  readonly name: string;
  readonly class: ReasonClass;
  readonly doc: string;
}

const table = [
  [1, 'steered-source', 'forwarded', 'selected packet of a source, encapsulated to its first function'],
  [2, 'steered-next', 'forwarded', 'packet of a function, encapsulated to the next function'],
  [3, 'steered-destination', 'forwarded', 'packet of the last function, encapsulated to a destination pod (service index 0)'],
  [4, 'steered-reply', 'forwarded', 'reply, encapsulated to the previous hop'],
  [5, 'decapsulated', 'forwarded', 'encapsulated packet, unwrapped for its pod'],
  [6, 'left-cluster', 'passed', 'packet of the last function that leaves the path plain, to a destination that no peer covers'],
  [8, 'reply-entered', 'forwarded', 'reply that came plain to the source of its flow, encapsulated back into the chain'],
  [10, 'steered-ingress', 'forwarded', 'packet to a pod whose ingress is selected, encapsulated to the first function'],
  [11, 'reply-left', 'forwarded', 'reply of a pod whose ingress is selected, back from the chain, sent on to who opened the flow'],
  [9, 'reply-relayed', 'forwarded', 'reply on its way back into the chain, handed to the function that is nearer to the end'],
  [7, 'bypassed', 'passed', 'selected packet passed plain: the chain has no ready function and its failure policy is bypass'],
  [32, 'spoofed-encap', 'dropped', 'UDP to the steering port sent by a pod: only the datapath encapsulates'],
  [33, 'no-backend', 'dropped', 'the selected path has no ready function'],
  [34, 'unknown-path', 'dropped', 'the selected path is not in sfcpath'],
  [35, 'nsh-ttl', 'dropped', 'the NSH TTL reached 0: a ring of chains'],
  [36, 'not-a-peer', 'dropped', 'encapsulated packet whose outer source is no peer'],
  [37, 'outer-malformed', 'dropped', 'outer IP or UDP header is short, has options, or contradicts the packet length'],
  [38, 'geneve-version', 'dropped', 'Geneve version other than 0'],
  [39, 'geneve-malformed', 'dropped', 'Geneve header or option overruns the packet'],
  [40, 'geneve-critical-option', 'dropped', 'unknown Geneve option with the critical bit'],
  [41, 'geneve-no-nsh', 'dropped', 'no NSH option in the Geneve header'],
  [42, 'nsh-version', 'dropped', 'NSH version other than 0'],
  [43, 'nsh-malformed', 'dropped', 'NSH length or MD type other than what the option holds'],
  [44, 'next-protocol', 'dropped', 'Geneve protocol type, NSH next protocol and inner version disagree'],
  [45, 'inner-malformed', 'dropped', 'inner packet truncated, or its lengths contradict each other'],
  [46, 'fragment', 'dropped', 'fragment of a selected packet that carries no ports'],
  [47, 'encap-failed', 'dropped', 'the kernel could not make room for the outer headers'],
  [48, 'too-big', 'dropped', 'the encapsulated packet exceeds the next link'],
  [49, 'no-address', 'dropped', 'the sending endpoint has no address of the outer family'],
  [50, 'malformed', 'dropped', 'packet of a selected endpoint whose own headers are truncated or contradict each other'],
  [51, 'ecn', 'dropped', 'outer header says congestion, inner packet cannot carry it (RFC 6040 4.2)'],
  [52, 'control', 'dropped', 'Geneve control packet (O bit) or NSH OAM packet: carries nothing to deliver'],
  [
    56,
    'no-way-back',
    'dropped',
    'packet to a pod whose ingress is selected and whose address no peer range covers: the chain could not give it back',
  ],
  [53, 'overrun', 'dropped', 'the userspace datapath could not keep up: its queue was full (bytes are not known)'],
  [54, 'io-failed', 'dropped', 'the userspace datapath could not hand the packet on; its log names the error'],
  [
    55,
    'instance-lost',
    'dropped',
    'TCP packet of a flow whose instance is gone, in a chain with `onInstanceLoss: Reset`: both ends get a RST',
  ],
] as const satisfies readonly (readonly [number, string, ReasonClass, string])[];

export type ReasonName = (typeof table)[number][1];

export const REASONS: readonly (Reason & { readonly name: ReasonName })[] = table.map(([number, name, cls, doc]) => ({
  number,
  name,
  class: cls,
  doc,
}));

/** Direction of the program that counted: packets out of a pod, packets into a pod. */
export const DIRECTION = { fromPod: 0, toPod: 1 } as const;
