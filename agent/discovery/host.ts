/** Discovery on the real host, through iproute2. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SfcError } from '../../errors/index.js';
import { InsideMtus } from './inside.js';
import { type Location, locate } from './locate.js';
import { type HostTables, type Link, parseFdb, parseLinks, parseNeighbours, parseRoutes, type Route } from './tables.js';

const execute = promisify(execFile);

/** Runs a command and gives its standard output. */
export type RunCommand = (command: string, args: readonly string[]) => Promise<string>;

export interface Survey {
  /** By address. */
  readonly locations: ReadonlyMap<string, Location>;
  /** Every interface of the host by number. */
  readonly links: ReadonlyMap<number, Link>;
  /** Of both families, table main. */
  readonly routes: readonly Route[];
}

/** What the agent needs of discovery. */
export interface Discovery {
  /**
   * Where each address leads. Never throws for one address.
   * @param addresses asked for on their bridges where nobody knows them
   * @param others looked up as the host knows them
   * @throws SfcError COMMAND_FAILED when the host's tables cannot be read
   */
  locateAll(addresses: readonly string[], others?: readonly string[]): Promise<Survey>;
  /** The MTU at the pods' own end of these links, by ifindex of this end, as far as it can be learned. Never throws. */
  insideMtus(links: readonly Link[]): Promise<ReadonlyMap<number, number>>;
}

export const runCommand: RunCommand = async (command, args) => {
  try {
    const { stdout } = await execute(command, [...args], { maxBuffer: 64 << 20, timeout: 5000, encoding: 'utf8' });
    return stdout;
  } catch (cause) {
    const said = String((cause as { stderr?: string }).stderr ?? '').trim();
    throw new SfcError('COMMAND_FAILED', `${[command, ...args].join(' ')}: ${said || (cause as Error).message}`, { cause });
  }
};

/** Reads all tables at once. */
export async function readTables(run: RunCommand): Promise<HostTables> {
  const [links, routes, routes6, neighbours, fdb] = await Promise.all([
    run('ip', ['-j', '-d', 'link']),
    run('ip', ['-j', 'route', 'show', 'table', 'main']),
    run('ip', ['-j', '-6', 'route', 'show', 'table', 'main']),
    run('ip', ['-j', 'neigh']),
    run('bridge', ['-j', 'fdb']),
  ]);
  return {
    links: parseLinks(links),
    routes: [...parseRoutes(routes, 4), ...parseRoutes(routes6, 6)],
    neighbours: parseNeighbours(neighbours),
    fdb: parseFdb(fdb),
  };
}

/**
 * Makes the kernel ask who has the address. Without a neighbour `use` (NTF_USE) starts resolution;
 * with one, whose port the bridge forgot, only `nud probe` sends something at once, and the answer
 * teaches the bridge again.
 */
async function ask(run: RunCommand, address: string, where: Location & { kind: 'unresolved' }): Promise<void> {
  const how =
    where.missing === 'fdb' ? ['change', address, 'dev', where.bridge, 'nud', 'probe'] : ['replace', address, 'dev', where.bridge, 'use'];
  await run('ip', ['neigh', ...how]);
}

/**
 * A pod that is up answers within a round trip over a veth. Whoever takes longer is heard of by the monitor when it
 * answers, and asked again next time: other pods wait for this look.
 */
const ANSWER_MS = [5, 15];

/** @param wait resolves after so many milliseconds */
export function hostDiscovery(run: RunCommand, wait: (ms: number) => Promise<void>): Discovery {
  const inside = new InsideMtus(run);
  return {
    insideMtus: (links) => inside.read(links),
    async locateAll(addresses, others = []) {
      let tables = await readTables(run);
      const answers = new Map(addresses.map((address) => [address, locate(address, tables)] as const));
      for (const [attempt, ms] of ANSWER_MS.entries()) {
        const open = [...answers].flatMap(([address, where]) => (where.kind === 'unresolved' ? [[address, where] as const] : []));
        if (open.length === 0) break;
        if (attempt === 0) {
          // A refusal here (the entry vanished meanwhile) shows as still unresolved below.
          await Promise.allSettled(open.map(([address, where]) => ask(run, address, where)));
        }
        await wait(ms);
        tables = await readTables(run);
        for (const [address] of open) answers.set(address, locate(address, tables));
      }
      for (const address of others) answers.set(address, locate(address, tables));
      return { locations: answers, links: new Map(tables.links.map((link) => [link.ifindex, link])), routes: tables.routes };
    },
  };
}
