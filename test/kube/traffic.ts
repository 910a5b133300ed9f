/** Traffic from the clients behind the vpn pod that runs while something happens to the cluster. */

import { expect } from 'vitest';
import { unsteeredOn } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { type Steady, type SteadyCount, startEchoServer, startSteady } from '../../demo/testbed/index.js';

/** Sends without a pause while `happens` does; what became of it. The sending begins before and ends after. */
export async function underTraffic(walkthrough: KubeWalkthrough, happens: () => Promise<unknown>): Promise<Steady> {
  const { server } = (await walkthrough.bed()).blueprint;
  const { namespace, addresses } = walkthrough.clients.client;
  const echo = await startEchoServer((await walkthrough.bed()).blueprint);
  try {
    const sender = await startSteady(namespace, { server: server.address, port: server.port, sources: addresses });
    try {
      await happens();
    } catch (error) {
      await sender.end();
      throw error;
    }
    return await sender.end();
  } finally {
    await echo.stop();
  }
}

/** Every request was answered, and the server saw nothing but these addresses. */
export function expectWhole(counts: SteadyCount, seenAs: readonly string[], atLeast = 100): void {
  expect({ lost: counts.lost, errors: counts.errors }).toEqual({ lost: [], errors: {} });
  expect(counts.answered).toBe(counts.sent);
  expect(counts.sent).toBeGreaterThan(atLeast);
  for (const address of Object.keys(counts.seenAs)) expect(seenAs).toContain(address);
}

/** Addresses of the proxies that run now, behind which clients are hidden: others at the server would be unsteered packets. */
export async function proxiesOf(walkthrough: KubeWalkthrough): Promise<readonly string[]> {
  return (await walkthrough.bed()).blueprint.pods.flatMap(({ role, addresses }) => (role === 'proxy' ? addresses : []));
}

/** Nothing of a selected pod left unsteered, neither as the server saw it nor as the agents count. */
export async function expectSteered(walkthrough: KubeWalkthrough, steady: Steady, proxies: readonly string[]): Promise<void> {
  for (const { seenAs } of Object.values(steady)) for (const address of Object.keys(seenAs)) expect(proxies).toContain(address);
  expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
}
