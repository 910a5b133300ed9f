/** An `sfcd` on every node of a testbed, and `sfc` to ask them. */

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusView } from '../agent/view.js';
import { SfcError } from '../errors/index.js';
import { type Manifest, writeManifests } from './manifests.js';
import { AGENT_PROGRAM, CLI_PROGRAM } from './project.js';
import { type Background, type Blueprint, inNamespace, nodeNamed, run, startInNamespace, type Testbed } from './testbed/index.js';

export interface NodePaths {
  readonly runDirectory: string;
  readonly stateDirectory: string;
  readonly socket: string;
  readonly log: string;
}

export interface Cluster {
  readonly testbed: Testbed;
  readonly manifests: string;
  paths(node: string): NodePaths;
  /** Starts the node's agent; what an earlier one left pinned is the agent's to adopt. */
  startAgent(node: string): Background;
  /** The node's agent as it was started last. */
  agent(node: string): Background;
  /** Waits until every agent is ready and all entries are programmed. Throws `AGENT_UNREACHABLE` with the log's last lines. */
  ready(options?: { readonly timeout?: number; readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Runs `sfc` against the node's agent and returns what it printed. Throws `COMMAND_FAILED`. */
  sfc(node: string, ...args: readonly string[]): Promise<string>;
  status(node: string): Promise<StatusView>;
  /** Leaves the agents running when this process ends. */
  release(): void;
  /** SIGTERM to every agent. What is pinned stays until the testbed goes. */
  stop(): Promise<void>;
  /** The same, then `sfcd --remove` on every node: no packet is steered any more. Throws `COMMAND_FAILED`. */
  remove(): Promise<void>;
}

/** Where things of one node stand. */
export function pathsOf(bed: Blueprint, node: string): NodePaths {
  const runDirectory = join(bed.directory, node);
  return {
    runDirectory,
    stateDirectory: join(bed.directory, 'state', node),
    socket: join(runDirectory, 'sfcd.sock'),
    log: join(bed.directory, `${node}.log`),
  };
}

/** How many entries each map must have on a node when everything is programmed. */
export function expectedEntries(
  bed: Blueprint,
  node: string,
): { readonly sfcselect: number; readonly sfcpath: number; readonly endpoint: number } {
  const pods = bed.pods.filter((pod) => pod.node === node);
  const selected = pods.filter((pod) => pod.role === 'vpn' || pod.role === 'firewall');
  // Each of the two selectors names every destination of a family for TCP and for UDP; each chain has one function.
  return { sfcselect: 2 * selected.length * bed.families.traffic.length, sfcpath: 2, endpoint: pods.length };
}

export interface ClusterOptions {
  /** More flags for every agent, for instance `['--attach', 'clsact']`. */
  readonly flags?: readonly string[];
  /** Chains and selectors in place of the walkthrough's. */
  readonly policy?: readonly Manifest[];
  /** Entries that a node must have before it counts as ready; by default the walkthrough's. */
  readonly expected?: (node: string) => Readonly<Record<string, number>>;
}

/** Writes the manifests and starts an agent on every node. Ready is what `ready()` waits for. */
export async function startCluster(testbed: Testbed, options: ClusterOptions = {}): Promise<Cluster> {
  const bed = testbed.blueprint;
  const manifests = join(bed.directory, 'manifests');
  const expected = options.expected ?? ((node: string) => expectedEntries(bed, node));
  await writeManifests(bed, manifests, options.policy);
  const agents = new Map<string, Background>();
  const commandLine = (node: string): readonly string[] => {
    const { runDirectory, stateDirectory, socket } = pathsOf(bed, node);
    const flags = { 'node-name': node, manifests, 'run-dir': runDirectory, 'state-dir': stateDirectory, socket };
    const given = Object.entries({ ...flags, allocations: join(bed.directory, 'allocations.json') });
    return [process.execPath, AGENT_PROGRAM, ...given.flatMap(([flag, value]) => [`--${flag}`, value]), ...(options.flags ?? [])];
  };

  const cluster: Cluster = {
    testbed,
    manifests,
    paths: (node) => pathsOf(bed, node),
    startAgent(node) {
      const { runDirectory, stateDirectory, log } = pathsOf(bed, node);
      for (const directory of [runDirectory, stateDirectory]) mkdirSync(directory, { recursive: true });
      const output = openSync(log, 'a');
      try {
        const agent = startInNamespace(nodeNamed(bed, node).namespace, commandLine(node), {
          stdout: output,
          stderr: output,
          detached: true,
        });
        agents.set(node, agent);
        return agent;
      } finally {
        closeSync(output);
      }
    },
    agent(node) {
      const agent = agents.get(node);
      if (agent === undefined) throw new RangeError(`no agent was started on ${node}`);
      return agent;
    },
    async ready({ timeout = 30_000, signal } = {}) {
      const end = Date.now() + timeout;
      for (const { name } of bed.nodes) {
        for (
          let missing = await missingOn(cluster, name, expected(name));
          missing !== '';
          missing = await missingOn(cluster, name, expected(name))
        ) {
          signal?.throwIfAborted();
          const { exitCode, signalCode } = cluster.agent(name).child;
          const gone = exitCode !== null || signalCode !== null;
          if (gone || Date.now() > end) {
            const why = gone ? `sfcd ended (${signalCode ?? `exit ${exitCode}`})` : `not ready after ${timeout / 1000} s: ${missing}`;
            throw new SfcError('AGENT_UNREACHABLE', `${name}: ${why}\n${await tail(cluster.paths(name).log)}`);
          }
          await sleep(50);
        }
      }
    },
    async sfc(node, ...args) {
      return (await run([process.execPath, CLI_PROGRAM, '--socket', pathsOf(bed, node).socket, ...args])).stdout;
    },
    async status(node) {
      return JSON.parse(await cluster.sfc(node, 'status', '-o', 'json')) as StatusView;
    },
    release() {
      for (const agent of agents.values()) agent.release();
    },
    async stop() {
      await Promise.all([...agents.values()].map((agent) => agent.stop()));
    },
    async remove() {
      await cluster.stop();
      for (const { name, namespace } of bed.nodes) await inNamespace(namespace, [...commandLine(name), '--remove']);
    },
  };
  for (const node of bed.nodes) cluster.startAgent(node.name);
  return cluster;
}

/** What the node still lacks, in words; empty when nothing. */
async function missingOn(cluster: Cluster, node: string, expected: Readonly<Record<string, number>>): Promise<string> {
  let status: StatusView;
  try {
    status = await cluster.status(node);
  } catch (error) {
    return (error as Error).message;
  }
  if (!status.ready) return status.notReady;
  if (status.reconcile.error !== '') return status.reconcile.error;
  for (const [map, wanted] of Object.entries(expected)) {
    const entries = status.maps.find(({ name }) => name === map)?.entries ?? 0;
    if (entries < wanted) return `${map} has ${entries} of ${wanted} entries`;
  }
  return '';
}

async function tail(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).split('\n').slice(-15).join('\n');
}
