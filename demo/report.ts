/** What the demo says: text from plain data. */

import type { Cluster } from './cluster.js';
import { CLI_PROGRAM } from './project.js';
import type { Totals } from './proof.js';
import type { ShownStep, WalkthroughResult } from './walkthrough.js';

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

/** The table, and what does not hold. */
export function verdictText(result: WalkthroughResult, paint: Palette): string {
  const table = [COLUMNS, ...rows('TCP', result.totals.tcp), ...rows('UDP', result.totals.udp)].map((row) => row.map(String));
  const widths = COLUMNS.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  const lines = table.map(
    (row) =>
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   ')}`,
  );
  const used = (role: 'firewalls' | 'proxies') =>
    [...new Set(result.journeys.flatMap(({ request }) => request[role]))].sort().join(', ') || 'none';
  const shown = result.faults.slice(0, 20);
  return [
    '',
    paint.bold(lines[0] ?? ''),
    ...lines.slice(1),
    '',
    `  firewalls used: ${used('firewalls')}; proxies used: ${used('proxies')}`,
    `  the server saw only: ${result.seenAtServer.join(', ') || 'nothing'}`,
    `  other packets (handshakes and the like) that passed no firewall: TCP ${result.totals.tcp.strayPackets}, UDP ${result.totals.udp.strayPackets}`,
    `  Geneve packets between nodes: ${result.encapsulated}; dropped by the datapath: ${result.drops.reduce((sum, { packets }) => sum + packets, 0)}`,
    '',
    ...(shown.length === 0
      ? [paint.good('Every request and every reply passed firewall and proxy, in order.')]
      : [
          paint.bad(`It does not hold (${result.faults.length}):`),
          ...shown.map((fault) => `  ${fault}`),
          ...(shown.length < result.faults.length ? [`  and ${result.faults.length - shown.length} more`] : []),
        ]),
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
