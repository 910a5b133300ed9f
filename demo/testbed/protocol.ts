/** What the testbed's clients and server say to each other, as one line of text. No imports: the scripts run on their own. */

export type Transport = 'tcp' | 'udp';

/** One request as the server saw it. */
export interface SeenRequest {
  readonly transport: Transport;
  readonly id: string;
  /** The address and port it seemed to come from. */
  readonly peer: string;
  readonly peerPort: number;
}

/** One request as the client saw it. */
export interface RequestResult {
  readonly transport: Transport;
  readonly id: string;
  /** The address that was asked. */
  readonly server: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly answered: boolean;
  /** The address the server says it saw; empty without an answer. */
  readonly seenAs: string;
  /** Why there was no answer; empty with one. */
  readonly error: string;
}

export interface RequestOrder {
  readonly transport: Transport;
  readonly server: string;
  readonly port: number;
  readonly ids: readonly string[];
  /** Source addresses, used in turn; empty: the kernel chooses. */
  readonly sources: readonly string[];
  /** Milliseconds each request waits for its answer. */
  readonly timeout: number;
  /** Bytes added to the request; the server adds as many to its reply. */
  readonly padding: number;
}

export interface EchoOrder {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** `request <id> <padding>.` The full stop ends it: a TCP request may arrive in pieces. */
export const requestLine = (id: string, padding: number): string => `request ${id} ${'x'.repeat(padding)}.\n`;
export const replyLine = (id: string, peer: string, port: number, padding: number): string =>
  `reply ${id} ${peer} ${port} ${'y'.repeat(padding)}.\n`;

const REQUEST = /request ([\w-]+) (x*)\.\n/;
const REPLY = /reply ([\w-]+) (\S+) (\d+) (y*)\.\n/;

export interface Parsed {
  readonly kind: 'request' | 'reply';
  readonly id: string;
}

/** The start of a request or reply in a packet's payload; undefined when there is none. */
export function recognise(payload: string): Parsed | undefined {
  const match = /^(request|reply) ([\w-]+) /.exec(payload);
  if (match === null) return undefined;
  return { kind: match[1] === 'request' ? 'request' : 'reply', id: match[2] ?? '' };
}

export function parseRequest(text: string): { id: string; padding: number } | undefined {
  const match = REQUEST.exec(text);
  return match === null ? undefined : { id: match[1] ?? '', padding: (match[2] ?? '').length };
}

export function parseReply(text: string): { id: string; peer: string; port: number } | undefined {
  const match = REPLY.exec(text);
  return match === null ? undefined : { id: match[1] ?? '', peer: match[2] ?? '', port: Number(match[3]) };
}

/** What `raw-sender` is asked to do. */
export interface RawOrder {
  /** Whole IP packets as hex, each with the address the kernel shall route it to. */
  readonly packets: readonly { readonly destination: string; readonly hex: string }[];
}

/** What `segment-sender` is asked to do: one request for each id, each of `segment` bytes. */
export interface SegmentOrder {
  readonly server: string;
  readonly port: number;
  readonly segment: number;
  readonly ids: readonly string[];
}

export interface SegmentsSent {
  readonly bytes: number;
  /** Name of the errno; empty when the kernel has taken them. */
  readonly error: string;
}

/** What `steady-client` is asked to do. */
export interface SteadyOrder {
  /** Begins the ids: letters, digits and dashes. */
  readonly name: string;
  readonly server: string;
  readonly port: number;
  /** Source addresses, used in turn; empty: the kernel chooses one. */
  readonly sources: readonly string[];
  /** Milliseconds between two datagrams. */
  readonly intervalMs: number;
  /** Each datagram from a socket of its own, as a flow of its own; else each source keeps one. */
  readonly eachAlone: boolean;
  /** A TCP connection after so many datagrams. */
  readonly datagramsPerConnection: number;
  /** Milliseconds that the last answers are waited for. */
  readonly patienceMs: number;
}

export interface SteadyCount {
  readonly sent: number;
  readonly answered: number;
  /** Ids of the first without an answer. */
  readonly lost: readonly string[];
  /** The longest time from a request to its answer. */
  readonly longestMs: number;
  /** How many requests the server has seen from which address. */
  readonly seenAs: Readonly<Record<string, number>>;
  /** What the kernel said, and how often. */
  readonly errors: Readonly<Record<string, number>>;
}

export type Steady = Readonly<Record<Transport, SteadyCount>>;
