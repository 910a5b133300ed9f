/** `sfc replay`: what would become of a capture's packets, without an agent. */

import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ERRORS } from '../errors/index.js';
import type { JudgedPackets, Ran, SelectedPackets, Ways } from '../replay/index.js';
import { type Paint, paintFor } from './colour.js';
import type { Context } from './command.js';
import { type Format, formatOption, printValue } from './format.js';
import { writeLines } from './io.js';
import { readManifestFiles } from './manifests.js';
import { printable } from './printable.js';
import { plural, problemLines } from './problems.js';
import { progressOn } from './progress.js';
import { type Column, tableLines } from './table.js';

interface Options {
  readonly manifests: readonly string[];
  readonly endpoint: string;
  readonly write?: string;
  readonly direction: Ways;
  readonly allocations?: string;
  readonly port: number;
  readonly serviceCidr: string;
  readonly output: Format;
}

const SELECTED_COLUMNS: readonly Column<SelectedPackets>[] = [
  { title: 'SELECTOR', value: ({ selector }) => selector },
  { title: 'CHAIN', value: ({ chain }) => chain },
  { title: 'PATH', value: ({ path }) => path },
  { title: 'INSTANCE', value: ({ instance }) => instance },
  { title: 'REASON', value: ({ reason }) => reason },
  { title: 'PACKETS', value: ({ packets }) => packets },
  { title: 'BYTES', value: ({ bytes }) => bytes },
];

const VERDICT_COLUMNS: readonly Column<JudgedPackets>[] = [
  { title: 'VERDICT', value: ({ verdict }) => (verdict === 'dropped' ? 'DROPPED' : verdict) },
  { title: 'REASON', value: ({ reason }) => reason },
  { title: 'DIRECTION', value: ({ direction }) => direction },
  { title: 'PACKETS', value: ({ packets }) => packets },
  { title: 'BYTES', value: ({ bytes }) => bytes },
  { title: 'MEANING', value: ({ meaning }) => meaning },
];

function* reportLines(file: string, { report, written }: Ran, output: string | undefined, paint: Paint): Generator<string> {
  yield `${printable(file)}: ${plural(report.packets, 'packet')} at ${report.endpoint} on ${printable(report.node)}`;
  yield '';
  if (report.selected.length === 0) yield 'no selector took a packet';
  else yield* tableLines(SELECTED_COLUMNS, report.selected);
  if (report.verdicts.length > 0) {
    yield '';
    yield* tableLines(VERDICT_COLUMNS, report.verdicts, (text, { verdict }) => (verdict === 'dropped' ? paint.bad(text) : text));
  }
  if (output !== undefined) {
    yield '';
    yield `${printable(output)}: ${plural(written, 'packet')} as they would be on the wire`;
  }
}

/** Bytes; undefined for what has no size, as a pipe. */
async function sizeOf(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

async function replay({ io, exitWith }: Context, capture: string, options: Options): Promise<void> {
  const { endpoint, allocations, serviceCidr, port, direction: ways, write, output } = options;
  const manifests = await readManifestFiles(options.manifests);
  // Only here: no other command pays for loading the datapath and the schemas.
  const { prepareReplay, runReplay } = await import('../replay/index.js');
  const { problems, node } = await prepareReplay({ manifests, endpoint, allocations, serviceCidr });
  const complaints = paintFor(io.err, io.environment);
  writeLines(
    io.err,
    problems.flatMap((problem) => problemLines(problem, complaints)),
  );
  if (node === undefined) {
    exitWith(ERRORS.MANIFEST_INVALID.exit);
    return;
  }
  for (const refusal of node.refusals) io.err.write(`sfc: ${complaints.bad('MAP_FULL')}: ${printable(refusal)}\n`);
  const file = capture === '-' ? '/dev/stdin' : capture;
  const size = await sizeOf(file);
  const progress = progressOn(io);
  let ran: Ran;
  try {
    ran = await runReplay({
      ...{ node, file, output: write, port, ways },
      onProgress: (bytes, packets) => progress.tell(size === undefined ? undefined : bytes / size, plural(packets, 'packet')),
    });
  } finally {
    progress.clear();
  }
  if (output === 'table') writeLines(io.out, reportLines(capture, ran, write, paintFor(io.out, io.environment)));
  else printValue(io.out, output, { ...ran.report, written: ran.written });
  if (ran.failure !== undefined) throw ran.failure;
}

function collected(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function portNumber(value: string): number {
  const port = Number(value);
  if (!/^\d+$/.test(value) || port < 1 || port > 65_535) throw new InvalidArgumentError('It must be a port, 1 to 65535.');
  return port;
}

function podName(value: string): string {
  if (!/^[^/\s]+\/[^/\s]+$/.test(value)) throw new InvalidArgumentError('It must be NAMESPACE/POD.');
  return value;
}

const HELP = `
IN.pcap is a capture at the pod's interface (tcpdump -i IFACE -w IN.pcap), inside the pod or on the
host's side of it; - is the standard input. Of a Linux cooked capture, one from inside the pod.
Packets from the pod pass the from-pod half of the datapath, packets to it the to-pod half, in their
order, over maps as the agent of the pod's node would fill them from the manifests.
`;

export function addReplay(program: Command, context: Context): void {
  program
    .command('replay')
    .description('run a capture through the datapath under these manifests: what would be steered, where to, and what dropped')
    .argument('<capture>', 'a classic pcap file, taken at the interface of the pod')
    .requiredOption('-m, --manifests <path>', 'a manifest, or a directory of them; may be given again', collected)
    .requiredOption('-e, --endpoint <namespace/pod>', 'the pod', podName)
    .option('-w, --write <file>', 'write what would be on the wire to a pcap file')
    .addOption(
      new Option('-d, --direction <way>', 'which way the packets go')
        .choices(['auto', 'from-pod', 'to-pod'] satisfies Ways[])
        .default('auto'),
    )
    .option('--allocations <file>', "the agents' allocations file, for their servicePathIds (default: given out anew)")
    .option('--port <port>', 'UDP port of the encapsulation', portNumber, 7081)
    .option('--service-cidr <cidr>', 'range of the addresses of functions without a Service', '10.96.0.0/16')
    .addOption(formatOption())
    .addHelpText('after', HELP)
    .action((capture: string, options: Options) => replay(context, capture, options));
}
