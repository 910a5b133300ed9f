/**
 * Clients outside the cluster that come in by the vpn pod: a machine beside the nodes, with several addresses. All
 * that it sends goes into the tunnel, but for the tunnel itself.
 */

import { closeSync, openSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { until } from '../../test/kube/index.js';
import { type Background, type ClientBlueprint, inNamespace, run, SCHEMES, startInNamespace } from '../testbed/index.js';
import type { Place } from './bed.js';

/** Of the clients' machine on the network of the nodes, which have the numbers below 200. */
const HOST = SCHEMES[4].fabricHost(250);
const TUNNEL_PORT = 51820;
const MOST_WAIT_MS = 30_000;

/** A new key for both ends of a tunnel, as openvpn writes it. */
export async function makeTunnelKey(): Promise<string> {
  return (await run(['openvpn', '--genkey', 'secret'])).stdout;
}

export interface VpnClients {
  readonly client: ClientBlueprint;
  /** This process may end without them. */
  release(): void;
  stop(): Promise<void>;
}

export interface VpnEnd {
  /** Name and address of the vpn pod, and the address of its node. */
  readonly pod: string;
  readonly address: string;
  readonly node: string;
  readonly key: string;
}

/** Connects to the vpn pod; resolves when the tunnel is up. Throws `COMMAND_FAILED`. */
export async function startVpnClients(place: Place, { pod, address, node, key }: VpnEnd, clients = 8): Promise<VpnClients> {
  const namespace = `${place.name}-clients`;
  const { client, clients: network } = SCHEMES[4];
  const addresses = Array.from({ length: clients }, (_, index) => client(10 + index));
  await run(['ip', 'netns', 'delete', namespace], { accept: [0, 1] });
  await run(['ip', 'netns', 'add', namespace]);
  await inNamespace(place.fabric.namespace, [
    'ip',
    'link',
    'add',
    'to-clients',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    namespace,
  ]);
  await inNamespace(place.fabric.namespace, ['ip', 'link', 'set', 'to-clients', 'master', place.fabric.bridge, 'up']);
  await batch(namespace, [
    'link set lo up',
    `addr add ${HOST}/24 dev eth0`,
    'link set eth0 up',
    ...addresses.map((one) => `addr add ${one}/32 dev lo`),
    `route add ${address}/32 via ${node}`,
  ]);
  const file = join(place.directory, 'tunnel.key');
  await writeFile(file, key, { mode: 0o600 });
  const ends = ['--ifconfig', '10.8.0.2', '10.8.0.1', '--route', '0.0.0.0', '0.0.0.0'];
  const tunnel = ['--dev', 'tun0', '--proto', 'udp', '--remote', address, String(TUNNEL_PORT), '--nobind', '--secret', file];
  const options = ['--cipher', 'AES-256-CBC', '--keepalive', '1', '10', '--tun-mtu', '1300', '--verb', '3'];
  const log = join(place.directory, 'tunnel.log');
  await rm(log, { force: true });
  const output = openSync(log, 'a');
  // Detached, with no pipe between us and it: a cluster that is kept keeps its clients.
  const background = startInNamespace(namespace, ['openvpn', ...tunnel, ...ends, ...options], {
    detached: true,
    stdout: output,
    stderr: output,
  });
  closeSync(output);
  const stop = async (): Promise<void> => {
    await background.stop();
    await run(['ip', 'netns', 'delete', namespace], { accept: [0, 1] });
  };
  try {
    await untilUp(background, log);
  } catch (error) {
    await stop();
    throw error;
  }
  const addressing = [{ family: 4 as const, network, gateway: client(1), addresses }];
  return {
    client: { namespace, pod, ...(addressing[0] as (typeof addressing)[number]), addressing },
    release: () => background.release(),
    stop,
  };
}

/** openvpn says so once the other end has answered. */
async function untilUp({ ended }: Background, log: string): Promise<void> {
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  const said = () => readFile(log, 'utf8').catch(() => '');
  const fail = async (why: string) => new SfcError('COMMAND_FAILED', `the tunnel to the vpn pod: ${why}\n${(await said()).slice(-2000)}`);
  const late = await fail(`not up after ${MOST_WAIT_MS / 1000} s`);
  await until(
    async () => {
      if (hasEnded) throw await fail('openvpn ended');
      return (await said()).includes('Initialization Sequence Completed') ? true : undefined;
    },
    () => late,
    { withinMs: MOST_WAIT_MS },
  );
}

const batch = (namespace: string, lines: readonly string[]) =>
  inNamespace(namespace, ['ip', '-batch', '-'], { stdin: lines.map((line) => `${line}\n`).join('') });
