/** The datapaths with one line broken: what the comparison of the two has to find. */

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileChanged, KernelStage } from '../../datapath/kernel/cast.js';
import { UserspaceStage } from '../../datapath/userspace/cast.js';
import type { Aspect } from './compare.js';

/** A place in a file, and what stands there once something is broken. */
interface Break {
  readonly file: string;
  readonly is: string;
  readonly becomes: string;
}

export interface Mutant {
  /** What is wrong with it, in plain words. */
  readonly name: string;
  /** In what it may differ first from the other datapath. */
  readonly differs: readonly Aspect[];
  /** Of the shortest story that tells it, where that is a long one. */
  readonly steps?: number;
  /** Below `datapath/kernel/bpf`. */
  readonly kernel: Break;
  /** Below `datapath/userspace`, compiled. */
  readonly userspace: Break;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a function does not lower the TTL',
    differs: ['bytes'],
    kernel: {
      file: 'sfc.bpf.c',
      is: 'flow->next_path, flow->ttl - 1, false',
      becomes: 'flow->next_path, flow->ttl, false',
    },
    userspace: { file: 'pipeline.js', is: 'next, flows.ttl(flow) - 1, false', becomes: 'next, flows.ttl(flow), false' },
  },
  {
    name: 'a reply loses its bit',
    differs: ['bytes'],
    kernel: { file: 'encap.h', is: '(tunnel->reply ? SOURCE_PORT_REPLY : 0)', becomes: '0' },
    userspace: { file: 'tunnel.js', is: 'outerSourcePort(hash, reply)', becomes: 'outerSourcePort(hash, false)' },
  },
  {
    name: 'all ports win a tie',
    differs: ['bytes', 'verdict', 'counters'],
    kernel: {
      file: 'classify.h',
      is: 'next->cidr_prefix_len > found->cidr_prefix_len',
      becomes: 'next->cidr_prefix_len >= found->cidr_prefix_len',
    },
    userspace: {
      file: 'pipeline.js',
      is: 'select.cidrPrefixLength(next) > select.cidrPrefixLength(found)',
      becomes: 'select.cidrPrefixLength(next) >= select.cidrPrefixLength(found)',
    },
  },
  {
    name: 'a drop is counted under another reason',
    differs: ['counters'],
    kernel: { file: 'arrival.h', is: 'return REASON_NOT_A_PEER;', becomes: 'return REASON_NSH_TTL;' },
    userspace: { file: 'pipeline.js', is: "#drop('not-a-peer',", becomes: "#drop('nsh-ttl'," },
  },
  {
    name: 'a flow does not learn its new TTL',
    differs: ['flows', 'bytes', 'verdict'],
    steps: 14, // a chain of two that is a ring, and two packets through it
    kernel: { file: 'arrival.h', is: '\t\t\tflow->ttl = envelope->ttl;', becomes: '\t\t\tflow->ttl = flow->ttl;' },
    userspace: { file: 'pipeline.js', is: 'flows.setTtl(flow, ttl)', becomes: 'flows.setTtl(flow, flows.ttl(flow))' },
  },
  {
    name: 'a probe is written down with another number',
    differs: ['probes'],
    kernel: { file: 'probe.h', is: 'bpf_ntohl(payload.sequence)', becomes: 'bpf_ntohl(payload.magic)' },
    userspace: { file: 'probe.js', is: 'view.getUint32(at + payload + 4)', becomes: 'view.getUint32(at + payload)' },
  },
  {
    name: 'the answer to a segment does not acknowledge it',
    differs: ['bytes'],
    kernel: { file: 'reset.h', is: 'bpf_ntohl(segment->sequence) + segment->length', becomes: 'bpf_ntohl(segment->sequence)' },
    userspace: { file: 'reset.js', is: '(segment.sequence + segment.length) | 0', becomes: 'segment.sequence' },
  },
  {
    name: 'a later fragment has no port',
    differs: ['verdict', 'bytes', 'flows', 'counters'],
    kernel: { file: 'fragment.h', is: 'packet->destination_port = known->destination_port;', becomes: 'packet->destination_port = 0;' },
    userspace: {
      file: 'fragment-table.js',
      is: 'packet.destinationPort = view.getUint16(at + FRAGMENT_VALUE.destination_port);',
      becomes: 'packet.destinationPort = 0;',
    },
  },
  {
    name: 'the outer checksum over IPv6 is left out',
    differs: ['bytes'],
    kernel: { file: 'encap.h', is: 'udp->check = sum == 0xffff ? 0xffff : ~sum;', becomes: 'udp->check = 0;' },
    userspace: { file: 'tunnel.js', is: 'return result === 0 ? 0xffff : result;', becomes: 'return 0;' },
  },
  {
    name: 'a flow does not learn the MTU of its path',
    differs: ['flows', 'verdict', 'bytes', 'counters'],
    kernel: { file: 'pmtu.h', is: 'flow->next_path_mtu = mtu;', becomes: 'flow->next_path_mtu = 0;' },
    userspace: { file: 'pipeline.js', is: 'flows.setPathMtu(flow, hop, mtu)', becomes: 'flows.setPathMtu(flow, hop, 0)' },
  },
  {
    name: 'a packet leaves the position of its chain at which one arrived last',
    differs: ['flows', 'bytes', 'verdict', 'counters'],
    steps: 14, // a chain of three, and a packet through all of it
    kernel: { file: 'visit.h', is: 'best & 0xff : latest', becomes: 'latest : latest' },
    userspace: { file: 'pipeline.js', is: 'chosen = visit', becomes: 'chosen = latest' },
  },
];

/** Throws where the place to be broken is not there, or is there more than once: the table is then out of date. */
export function broken(text: string, { file, is, becomes }: Break): string {
  const [before = '', after, ...more] = text.split(is);
  if (after === undefined || more.length > 0)
    throw new Error(
      `${file} has "${is}" ${after === undefined ? 'nowhere' : 'more than once'}: mend the table in test/conformance/mutants.ts`,
    );
  return `${before}${becomes}${after}`;
}

/** The kernel program with one place broken. */
export function brokenKernel(place: Break): KernelStage {
  const directory = mkdtempSync(join(tmpdir(), 'sfc-mutant-'));
  try {
    return new KernelStage(compileChanged(directory, place.file, (text) => broken(text, place)));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const USERSPACE = 'dist/datapath/userspace';

/** The pipeline with one place broken: a compiled copy, beside the real one because it imports what that does. */
export async function brokenUserspace(place: Break): Promise<UserspaceStage> {
  const directory = mkdtempSync(`${resolve(USERSPACE)}-mutant-`);
  try {
    cpSync(USERSPACE, directory, { recursive: true });
    const file = join(directory, place.file);
    writeFileSync(file, broken(readFileSync(file, 'utf8'), place));
    const { Pipeline } = await import(/* @vite-ignore */ pathToFileURL(join(directory, 'index.js')).href);
    return new UserspaceStage(Pipeline);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
