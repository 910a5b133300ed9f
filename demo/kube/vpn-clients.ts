/**
 * Clients outside the cluster that come in by the vpn pod: a machine with several addresses, linked to the
 * server's namespace, which is the router of everything outside. All that it sends goes into the tunnel, but
 * for the tunnel itself.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SfcError } from '../../errors/index.js';
import { type Background, type ClientBlueprint, inNamespace, run, SCHEMES, startInNamespace } from '../testbed/index.js';
import type { Place } from './bed.js';

/** Of the link between the clients' router and the server's namespace. */
const LINK = { clients: '198.51.100.2', outside: '198.51.100.1' };
const TUNNEL_PORT = 51820;
const MOST_WAIT_MS = 30_000;

/** A new key for both ends of a tunnel, as openvpn writes it. */
export async function makeTunnelKey(): Promise<string> {
  return (await run(['openvpn', '--genkey', 'secret', '/dev/stdout'])).stdout;
}

export interface VpnClients {
  readonly client: ClientBlueprint;
  stop(): Promise<void>;
}

/** Connects to the vpn pod; resolves when the tunnel is up. Throws `COMMAND_FAILED`. */
export async function startVpnClients(place: Place, pod: string, address: string, key: string, clients = 8): Promise<VpnClients> {
  const namespace = `${place.name}-clients`;
  const { client, clients: network } = SCHEMES[4];
  const addresses = Array.from({ length: clients }, (_, index) => client(10 + index));
  await run(['ip', 'netns', 'delete', namespace], { accept: [0, 1] });
  await run(['ip', 'netns', 'add', namespace]);
  await inNamespace(namespace, ['ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'clients', 'netns', place.outside]);
  await batch(place.outside, [`addr replace ${LINK.outside}/30 dev clients`, 'link set clients up']);
  await batch(namespace, [
    'link set lo up',
    `addr add ${LINK.clients}/30 dev eth0`,
    'link set eth0 up',
    ...addresses.map((one) => `addr add ${one}/32 dev lo`),
    `route add ${address}/32 via ${LINK.outside}`,
  ]);
  const file = join(place.directory, 'tunnel.key');
  await writeFile(file, key, { mode: 0o600 });
  const ends = ['--ifconfig', '10.8.0.2', '10.8.0.1', '--route', '0.0.0.0', '0.0.0.0'];
  const tunnel = ['--dev', 'tun0', '--proto', 'udp', '--remote', address, String(TUNNEL_PORT), '--nobind', '--secret', file];
  const options = ['--cipher', 'AES-256-CBC', '--keepalive', '1', '10', '--tun-mtu', '1300', '--verb', '3'];
  const background = startInNamespace(namespace, ['openvpn', ...tunnel, ...ends, ...options], { stdout: 'pipe' });
  const stop = async (): Promise<void> => {
    await background.stop();
    await run(['ip', 'netns', 'delete', namespace], { accept: [0, 1] });
  };
  try {
    await untilUp(background);
  } catch (error) {
    await stop();
    throw error;
  }
  const addressing = [{ family: 4 as const, network, gateway: client(1), addresses }];
  return { client: { namespace, pod, ...(addressing[0] as (typeof addressing)[number]), addressing }, stop };
}

/** openvpn says so once the other end has answered. */
function untilUp({ child, ended, stderr }: Background): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string) =>
      reject(new SfcError('COMMAND_FAILED', `the tunnel to the vpn pod: ${why}\n${said.slice(-2000)}${stderr()}`));
    const timer = setTimeout(() => fail(`not up after ${MOST_WAIT_MS / 1000} s`), MOST_WAIT_MS);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (!said.includes('Initialization Sequence Completed')) return;
      clearTimeout(timer);
      resolve();
    });
    void ended.then(() => {
      clearTimeout(timer);
      fail('openvpn ended');
    });
  });
}

const batch = (namespace: string, lines: readonly string[]) =>
  inNamespace(namespace, ['ip', '-batch', '-'], { stdin: lines.map((line) => `${line}\n`).join('') });
