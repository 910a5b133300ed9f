/** A replay from files to a report. */

import { open, readFile, stat } from 'node:fs/promises';
import { type AllocationState, emptyState, parseState } from '../agent/allocation/index.js';
import { PcapStreamWriter, readPcapBatches } from '../capture/index.js';
import { SfcError } from '../errors/index.js';
import { type ManifestFile, type Problem, parseManifests, validateManifests } from '../policy/index.js';
import type { Ways } from './direction.js';
import { type Node, nodeOf } from './node.js';
import { outputLinkType, Replay, type ReplayReport } from './replay.js';

export interface PrepareOptions {
  readonly manifests: readonly ManifestFile[];
  /** `namespace/name` of the pod. */
  readonly endpoint: string;
  /** The agents' allocations file; without it ids are given out anew. */
  readonly allocations: string | undefined;
  readonly serviceCidr: string;
}

export interface Prepared {
  readonly problems: readonly Problem[];
  /** Undefined where a problem is an error. */
  readonly node: Node | undefined;
}

async function readAllocations(file: string | undefined): Promise<AllocationState> {
  if (file === undefined) return emptyState();
  try {
    return parseState(await readFile(file, 'utf8'), file);
  } catch (cause) {
    throw cause instanceof SfcError ? cause : new SfcError('ALLOCATION_STATE', `${file}: ${(cause as Error).message}`, { cause });
  }
}

/** The node that the packets are replayed on. Throws `NOT_FOUND`, `ALLOCATION_STATE`, `ALLOCATION_EXHAUSTED`, `CONFIG_INVALID`. */
export async function prepareReplay({ manifests, endpoint, allocations, serviceCidr }: PrepareOptions): Promise<Prepared> {
  const { problems } = validateManifests(manifests);
  if (problems.some(({ severity }) => severity === 'error')) return { problems, node: undefined };
  const { world } = parseManifests(manifests);
  return { problems, node: nodeOf({ world, endpoint, allocations: await readAllocations(allocations), serviceCidr }) };
}

export interface RunOptions {
  readonly node: Node;
  readonly file: string;
  /** Where to write what would go on, or nowhere. */
  readonly output: string | undefined;
  /** UDP port of steering. */
  readonly port: number;
  readonly ways: Ways;
  /** After every piece: bytes of the file and packets so far. */
  readonly onProgress?: (bytes: number, packets: number) => void;
}

export interface Ran {
  /** Of what was read, also where it ended early. */
  readonly report: ReplayReport;
  /** Records written. */
  readonly written: number;
  /** Why the capture could not be read to its end. */
  readonly failure: SfcError | undefined;
}

interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

function unwritable(file: string, cause: unknown): SfcError {
  return new SfcError('OUTPUT_UNWRITABLE', `${file}: ${(cause as Error).message}`, { cause });
}

/** Throws `OUTPUT_UNWRITABLE`, `USAGE` where it is the capture itself. */
async function openOutput(file: string, input: string): Promise<Sink> {
  const [there, read] = await Promise.all([file, input].map((path) => stat(path).catch(() => undefined)));
  if (there !== undefined && read !== undefined && there.dev === read.dev && there.ino === read.ino)
    throw new SfcError('USAGE', `${file} is the capture itself; name another file to write`);
  try {
    const handle = await open(file, 'w');
    return {
      async write(bytes) {
        try {
          await handle.writeFile(bytes);
        } catch (cause) {
          throw unwritable(file, cause);
        }
      },
      close: () => handle.close(),
    };
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/** Throws `CAPTURE_INVALID` and `INPUT_UNREADABLE` where not even the file's header could be read, `OUTPUT_UNWRITABLE`, `USAGE`. */
export async function runReplay({ node, file, output, port, ways, onProgress }: RunOptions): Promise<Ran> {
  let sink: Sink | undefined;
  let writer: PcapStreamWriter | undefined;
  let replay: Replay | undefined;
  let failure: SfcError | undefined;
  const batches = readPcapBatches(file);
  try {
    for (;;) {
      let batch: Awaited<ReturnType<typeof batches.next>>;
      try {
        batch = await batches.next();
      } catch (error) {
        if (replay === undefined || !(error instanceof SfcError)) throw error;
        failure = error;
        break;
      }
      if (batch.done === true) break;
      const { linkType, nanoseconds, bytes } = batch.value;
      if (replay === undefined) {
        replay = new Replay({ node, port, ways, name: file, linkType });
        if (output !== undefined) {
          const opened = await openOutput(output, file);
          sink = opened;
          writer = new PcapStreamWriter((piece) => opened.write(piece), outputLinkType(linkType), nanoseconds);
          replay.writer = writer;
        }
      }
      replay.take(batch.value);
      await writer?.flush();
      onProgress?.(bytes, replay.packets);
    }
    await writer?.flush();
  } finally {
    await sink?.close();
  }
  if (replay === undefined) throw new SfcError('CAPTURE_INVALID', `${file}: no pcap header`);
  return { report: replay.report(), written: writer?.packets ?? 0, failure };
}
