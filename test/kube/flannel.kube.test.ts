/** The walkthrough where Flannel makes the pods' network, with VXLAN between the nodes, installed with the Helm chart. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unsteeredOn } from '../../demo/kube/installed.js';
import type { KubeWalkthrough } from '../../demo/kube/walkthrough.js';
import { firewallAlone } from './firewall-alone.js';
import { startSteered } from './shared.js';

let walkthrough: KubeWalkthrough;
beforeAll(async () => {
  walkthrough = await startSteered({ name: 'sfcf', directory: '/var/tmp/sfcf', cni: 'flannel' }, 'helm');
  await walkthrough.applyPods();
  await walkthrough.applySteering();
  await walkthrough.connectClients();
}, 1_800_000);

afterAll(async () => {
  await walkthrough?.close();
  await walkthrough?.cluster.stop();
}, 200_000);

describe('beside Flannel', () => {
  it('steers every request through firewall and proxy, and every reply back', async () => {
    const seen = await walkthrough.observe({ requests: 20 });
    expect(seen.faults).toEqual([]);
    expect(await unsteeredOn(walkthrough.cluster)).toBe(0);
  }, 180_000);
});

// Answers come in over VXLAN, or from outside.
firewallAlone(async () => walkthrough);
