/** What the demo says: text from plain data. */

import type { Cluster } from './cluster.js';
import type { FamilyTotals } from './families.js';
import { CLI_PROGRAM } from './project.js';
import type { Totals } from './proof.js';
import type { Show, ShowResult } from './shows.js';
import type { ShownStep, WalkthroughResult } from './walkthrough.js';
import type { WayTotals } from './way.js';

export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
}

/** ANSI colours, or none. */
export function palette(colours: boolean): Palette {
  const wrap = (code: number) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: wrap(1), dim: wrap(2), good: wrap(32), bad: wrap(31) };
}

export function stepText(step: ShownStep, paint: Palette): string {
  const output = step.output.trimEnd().replace(/^/gm, '  ');
  return `\n${paint.bold(step.title)}\n${paint.dim(`[${step.node}]#`)} ${step.command}\n${output}`;
}

const COLUMNS = ['', 'sent', 'passed firewall', 'passed proxy', 'answered', 'unsteered'] as const;

function rows(name: string, totals: Totals): readonly (readonly (string | number)[])[] {
  return [
    [`${name} requests`, totals.sent, totals.requestsThroughFirewall, totals.requestsThroughProxy, totals.answered, totals.unsteered],
    [`${name} replies`, '', totals.repliesThroughFirewall, totals.repliesThroughProxy, '', ''],
  ];
}

/** Totals by transport, and by family where there are several. */
function eachKind<T>(byFamily: readonly FamilyTotals<T>[]): readonly (readonly [name: string, totals: T])[] {
  return byFamily.flatMap(({ family, totals: { tcp, udp } }) => {
    const prefix = byFamily.length > 1 ? `IPv${family} ` : '';
    return [[`${prefix}TCP`, tcp] as const, [`${prefix}UDP`, udp] as const];
  });
}

function tableText(table: readonly (readonly (string | number)[])[], paint: Palette): readonly string[] {
  const words = table.map((row) => row.map(String));
  const widths = (words[0] ?? []).map((_, column) => Math.max(...words.map((row) => (row[column] ?? '').length)));
  const [head = '', ...lines] = words.map(
    (row) =>
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   ')}`,
  );
  return [paint.bold(head), ...lines];
}

/** The first of what does not hold, or that everything does. */
function conclusion(faults: readonly string[], praise: string, paint: Palette): readonly string[] {
  if (faults.length === 0) return [paint.good(praise)];
  const shown = faults.slice(0, 20);
  const more = shown.length < faults.length ? [`  and ${faults.length - shown.length} more`] : [];
  return [paint.bad(`It does not hold (${faults.length}):`), ...shown.map((fault) => `  ${fault}`), ...more];
}

const dropped = (drops: WalkthroughResult['drops']): number => drops.reduce((sum, { packets }) => sum + packets, 0);

/** The walkthrough's table, and what does not hold. */
export function verdictText(result: WalkthroughResult, paint: Palette): string {
  const used = (role: 'firewalls' | 'proxies') =>
    [...new Set(result.journeys.flatMap(({ request }) => request[role]))].sort().join(', ') || 'none';
  return [
    '',
    ...tableText([COLUMNS, ...eachKind(result.byFamily).flatMap(([name, totals]) => rows(name, totals))], paint),
    '',
    `  firewalls used: ${used('firewalls')}; proxies used: ${used('proxies')}`,
    `  the server saw only: ${result.seenAtServer.join(', ') || 'nothing'}`,
    `  other packets (handshakes and the like) that passed no firewall: TCP ${result.totals.tcp.strayPackets}, UDP ${result.totals.udp.strayPackets}`,
    `  Geneve packets between nodes: ${result.encapsulated}; dropped by the datapath: ${dropped(result.drops)}`,
    '',
    ...conclusion(result.faults, 'Every request and every reply passed firewall and proxy, in order.', paint),
  ].join('\n');
}

/** The same of another show. */
export function showText({ chain }: Show, result: ShowResult, paint: Palette): string {
  const row = (name: string, { sent, inOrder, answered, inReverse, unsteered }: WayTotals) => [
    name,
    sent,
    inOrder,
    answered,
    inReverse,
    unsteered,
  ];
  const used = [...new Set(result.journeys.flatMap(({ request }) => request))].sort().join(', ') || 'none';
  const head = ['', 'sent', `passed ${chain.join(', ')}`, 'answered', 'replies through the same in reverse', 'unsteered'];
  return [
    '',
    ...tableText([head, ...eachKind(result.byFamily).map(([name, totals]) => row(name, totals))], paint),
    '',
    `  instances used: ${used}`,
    `  the server saw: ${result.seenAtServer.join(', ') || 'nothing'}`,
    `  Geneve packets between nodes: ${result.encapsulated}; dropped by the datapath: ${dropped(result.drops)}`,
    '',
    ...conclusion(result.faults, `Every request passed ${chain.join(', then ')}; every reply the same instances in reverse.`, paint),
  ].join('\n');
}

/** How to look around in a demo that was left running: on this machine, or in the shell inside its user namespace. */
export function keptHelp(cluster: Cluster, inside: boolean): string {
  const bed = cluster.testbed.blueprint;
  const { namespace: clients = '', addresses = [] } = bed.client ?? {};
  const socket = cluster.paths('node1').socket;
  const enter = (namespace: string, command: string): string => `  nsenter --net=/run/netns/${namespace} ${command}`;
  return [
    '',
    inside ? 'Left running. Look around, in the shell below (without a terminal: until SIGINT):' : 'Left running. Look around:',
    `  node ${CLI_PROGRAM} --socket ${socket} status`,
    `  node ${CLI_PROGRAM} --socket ${socket} bpf sfcflow list`,
    enter(clients, `ping -c 1 -I ${addresses[0] ?? ''} ${bed.client?.gateway ?? ''}`),
    enter(bed.pods.find(({ role }) => role === 'firewall')?.namespace ?? '', 'nft list ruleset'),
    enter(bed.fabric.namespace, `tcpdump -nn -i ${bed.fabric.bridge} udp port 7081`),
    enter(bed.server.namespace, `iperf3 -s -B ${bed.server.address}`),
    enter(clients, `iperf3 -c ${bed.server.address} -B ${addresses[0] ?? ''}`),
    `Sockets: ${bed.nodes.map(({ name }) => cluster.paths(name).socket).join(' ')}`,
    `Manifests (edit them, the agents follow): ${cluster.manifests}`,
    `Logs: ${bed.nodes.map(({ name }) => cluster.paths(name).log).join(' ')}`,
    `Namespaces: ${bed.prefix}-*  (ip netns list)`,
    inside ? 'Take it away: leave the shell' : 'Take it away: make demo-clean',
  ].join('\n');
}
