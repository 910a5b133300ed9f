/**
 * Every verdict and drop reason of the datapath, declared once: C, TypeScript, the CLI and the docs
 * take them from here. Numbers are append-only (a `metrics` map outlives the agent that pinned it).
 */

/** `consumed`: it was for the datapath itself. */
export type ReasonClass = 'forwarded' | 'passed' | 'consumed' | 'dropped';

/** Which program counts it: from-pod for packets out of a pod, to-pod for packets into one. */
export type CountedBy = 'from-pod' | 'to-pod' | 'both';

export interface Reason {
  readonly number: number;
  readonly name: string;
  readonly class: ReasonClass;
  readonly countedBy: CountedBy;
  readonly doc: string;
}

const table = [
  [1, 'steered-source', 'forwarded', 'from-pod', 'selected packet of a source, encapsulated to its first function'],
  [2, 'steered-next', 'forwarded', 'from-pod', 'packet of a function, encapsulated to the next function'],
  [3, 'steered-destination', 'forwarded', 'from-pod', 'packet of the last function, encapsulated to a destination pod (service index 0)'],
  [4, 'steered-reply', 'forwarded', 'from-pod', 'reply, encapsulated to the previous hop'],
  [5, 'decapsulated', 'forwarded', 'to-pod', 'encapsulated packet, unwrapped for its pod'],
  [6, 'left-cluster', 'passed', 'from-pod', 'packet of the last function that leaves the path plain, to a destination that no peer covers'],
  [7, 'bypassed', 'passed', 'both', 'selected packet passed plain: the chain has no ready function and its failure policy is bypass'],
  [8, 'reply-entered', 'forwarded', 'to-pod', 'reply that came plain to the source of its flow, encapsulated back into the chain'],
  [9, 'reply-relayed', 'forwarded', 'to-pod', 'reply on its way back into the chain, handed to the function that is nearer to the end'],
  [10, 'steered-ingress', 'forwarded', 'to-pod', 'packet to a pod whose ingress is selected, encapsulated to the first function'],
  [
    11,
    'reply-left',
    'forwarded',
    'to-pod',
    'reply of a pod whose ingress is selected, back from the chain, sent on to who opened the flow',
  ],
  [21, 'probe-answered', 'consumed', 'to-pod', "probe of this node that has come back through a function's instance"],
  [32, 'spoofed-encap', 'dropped', 'from-pod', 'UDP to the steering port sent by a pod: only the datapath encapsulates'],
  [33, 'no-backend', 'dropped', 'both', 'the selected path has no ready function'],
  [34, 'unknown-path', 'dropped', 'both', 'the selected path is not in sfcpath'],
  [35, 'nsh-ttl', 'dropped', 'both', 'the NSH TTL reached 0: a ring of chains, or more functions than a packet passes (62)'],
  [36, 'not-a-peer', 'dropped', 'to-pod', 'encapsulated packet whose outer source is no peer'],
  [37, 'outer-malformed', 'dropped', 'to-pod', 'outer IP or UDP header is short, has options, or contradicts the packet length'],
  [38, 'geneve-version', 'dropped', 'to-pod', 'Geneve version other than 0'],
  [39, 'geneve-malformed', 'dropped', 'to-pod', 'Geneve header or option overruns the packet'],
  [40, 'geneve-critical-option', 'dropped', 'to-pod', 'unknown Geneve option with the critical bit'],
  [41, 'geneve-no-nsh', 'dropped', 'to-pod', 'no NSH option in the Geneve header'],
  [42, 'nsh-version', 'dropped', 'to-pod', 'NSH version other than 0'],
  [43, 'nsh-malformed', 'dropped', 'to-pod', 'NSH length or MD type other than what the option holds'],
  [44, 'next-protocol', 'dropped', 'to-pod', 'Geneve protocol type, NSH next protocol and inner version disagree'],
  [45, 'inner-malformed', 'dropped', 'to-pod', 'inner packet truncated, or its lengths contradict each other'],
  [46, 'fragment', 'dropped', 'both', 'fragment of a selected datagram whose first fragment has not been seen'],
  [47, 'encap-failed', 'dropped', 'both', 'the kernel could not make room for the outer headers'],
  [
    48,
    'too-big',
    'dropped',
    'both',
    'the encapsulated packet exceeds the path to the next hop: the sender is told (fragmentation needed, packet too big)',
  ],
  [49, 'no-address', 'dropped', 'from-pod', 'the sending endpoint has no address of the outer family'],
  [50, 'malformed', 'dropped', 'from-pod', 'packet of a selected endpoint whose own headers are truncated or contradict each other'],
  [51, 'ecn', 'dropped', 'to-pod', 'outer header says congestion, inner packet cannot carry it (RFC 6040 4.2)'],
  [52, 'control', 'dropped', 'to-pod', 'Geneve control packet (O bit) or NSH OAM packet: carries nothing to deliver'],
  [53, 'overrun', 'dropped', 'both', 'the userspace datapath could not keep up: its queue was full (bytes are not known)'],
  [54, 'io-failed', 'dropped', 'both', 'the userspace datapath could not hand the packet on; its log names the error'],
  [
    55,
    'instance-lost',
    'dropped',
    'both',
    'TCP packet of a flow whose instance is gone, in a chain with `onInstanceLoss: Reset`: both ends get a RST',
  ],
  [
    56,
    'no-way-back',
    'dropped',
    'to-pod',
    'packet to a pod whose ingress is selected and whose address no peer range covers: the chain could not give it back',
  ],
  [
    57,
    'rejected',
    'dropped',
    'both',
    'the chain has no ready function and its failure policy is reject: the sender is told (RST, prohibited)',
  ],
  [58, 'flow-limit', 'dropped', 'both', 'first packet of a flow of a pod that has as many flows as it may have'],
  [
    59,
    'spoofed-hop',
    'dropped',
    'to-pod',
    "the outer source is a pod's of this node, but the packet did not come from it; or it came from another pod",
  ],
  [
    60,
    'tunnel-error',
    'dropped',
    'to-pod',
    'ICMP error about the tunnel itself, which no pod sent: the MTU that it tells is kept for the flow',
  ],
  [61, 'outer-checksum', 'dropped', 'to-pod', 'the outer UDP checksum does not fit the headers'],
  [62, 'spoofed-source', 'dropped', 'from-pod', 'packet of a pod that may send in its own name only, with the source of another'],
] as const satisfies readonly (readonly [number, string, ReasonClass, CountedBy, string])[];

export type ReasonName = (typeof table)[number][1];

export const REASONS: readonly (Reason & { readonly name: ReasonName })[] = table.map(([number, name, cls, countedBy, doc]) => ({
  number,
  name,
  class: cls,
  countedBy,
  doc,
}));

/** Direction of the program that counted: packets out of a pod, packets into a pod. */
export const DIRECTION = { fromPod: 0, toPod: 1 } as const;
