/** A control plane alone: what a client of the API server is tested against. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, KUBERNETES_VERSION, startControlPlane, sweep, testPlace } from './index.js';

describe('a control plane', () => {
  let place: Awaited<ReturnType<typeof testPlace>>;
  let plane: ControlPlane;

  beforeAll(async () => {
    place = await testPlace();
    plane = await startControlPlane({ ...place, scheduler: false });
  });
  afterAll(async () => {
    await plane?.stop();
    await sweep(place.name, place.directory);
  });

  it('is of the pinned release', async () => {
    expect(JSON.parse(await plane.kubectl(['version', '-o', 'json']))).toMatchObject({
      clientVersion: { gitVersion: KUBERNETES_VERSION },
      serverVersion: { gitVersion: KUBERNETES_VERSION },
    });
  });

  it('answers inside the network of the cluster as well', async () => {
    const { stdout } = await plane.machine.run(['curl', '-sk', `${plane.insideUrl}/livez`]);
    expect(stdout).toBe('ok');
  });

  it('lets a service account do what its roles allow and no more', async () => {
    await plane.kubectl(['create', 'serviceaccount', 'reader', '--namespace=default']);
    await plane.kubectl(['create', 'clusterrole', 'reads-nodes', '--verb=get,list', '--resource=nodes']);
    await plane.kubectl(['create', 'clusterrolebinding', 'reads-nodes', '--clusterrole=reads-nodes', '--serviceaccount=default:reader']);
    const { outside } = await plane.serviceAccount('default', 'reader');
    expect(await plane.kubectl(['--kubeconfig', outside, 'auth', 'can-i', 'list', 'nodes'])).toBe('yes\n');
    await expect(plane.kubectl(['--kubeconfig', outside, 'get', 'pods', '--namespace=default'])).rejects.toThrow(/forbidden/);
  });

  it.each(['kube-apiserver', 'etcd'] as const)('is without %s for a while and has lost nothing', async (program) => {
    await plane.kubectl(['create', 'configmap', `before-${program}`, '--namespace=default', '--from-literal=key=value']);
    await plane.kill(program);
    await expect(plane.kubectl(['get', 'configmap', `before-${program}`, '--request-timeout=1s'])).rejects.toThrow();
    await plane.restart(program);
    expect(await plane.kubectl(['get', 'configmap', `before-${program}`, '-o', 'jsonpath={.data.key}'])).toBe('value');
  });
});
