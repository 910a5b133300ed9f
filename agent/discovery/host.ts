/** Discovery on the real host, through iproute2. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SfcError } from '../../errors/index.js';
import { type Location, locate } from './locate.js';
import { type HostTables, type Link, parseFdb, parseLinks, parseNeighbours, parseRoutes } from './tables.js';

const execute = promisify(execFile);

/** Runs a command and gives its standard output. */
export type RunCommand = (command: string, args: readonly string[]) => Promise<string>;

export interface Survey {
  /** By address. */
  readonly locations: ReadonlyMap<string, Location>;
  /** Every interface of the host by number. */
  readonly links: ReadonlyMap<number, Link>;
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

/** Reads all tables at once. IPv6 routes only when asked for. */
export async function readTables(run: RunCommand, ipv6: boolean): Promise<HostTables> {
  const [links, routes, routes6, neighbours, fdb] = await Promise.all([
    run('ip', ['-j', '-d', 'link']),
    run('ip', ['-j', 'route', 'show', 'table', 'main']),
    ipv6 ? run('ip', ['-j', '-6', 'route', 'show', 'table', 'main']) : '',
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

/** @param wait resolves after so many milliseconds */
export function hostDiscovery(run: RunCommand, wait: (ms: number) => Promise<void>): Discovery {
  return {
    async locateAll(addresses, others = []) {
      const ipv6 = [...addresses, ...others].some((address) => address.includes(':'));
      let tables = await readTables(run, ipv6);
      const answers = new Map(addresses.map((address) => [address, locate(address, tables)] as const));
      // Resolution takes one round trip over a veth: a few tries of 50 ms; a pod that does not answer is asked again next time.
      for (let attempt = 0; attempt < 3; attempt++) {
        const open = [...answers].flatMap(([address, where]) => (where.kind === 'unresolved' ? [[address, where] as const] : []));
        if (open.length === 0) break;
        if (attempt === 0) {
          // A refusal here (the entry vanished meanwhile) shows as still unresolved below.
          await Promise.allSettled(open.map(([address, where]) => ask(run, address, where)));
        }
        await wait(50);
        tables = await readTables(run, ipv6);
        for (const [address] of open) answers.set(address, locate(address, tables));
      }
      for (const address of others) answers.set(address, locate(address, tables));
      return { locations: answers, links: new Map(tables.links.map((link) => [link.ifindex, link])) };
    },
  };
}
