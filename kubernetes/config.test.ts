import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inClusterConfig, kubeconfigFile } from './config.js';

let directory: string;
const file = (name: string, text: string) => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sfc-kubeconfig-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const kubeconfig = (user: string, cluster = 'certificate-authority: ca.crt', server = 'https://10.0.0.1:6443/') => `apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: c, user: u, namespace: sfc-system}}]
clusters: [{name: c, cluster: {server: '${server}', ${cluster}}}]
users: [{name: u, user: ${user}}]
`;

describe("a pod's service account", () => {
  beforeEach(() => {
    for (const [name, text] of [
      ['token', 'first\n'],
      ['ca.crt', 'CA'],
      ['namespace', 'sfc-system'],
    ] as const)
      file(name, text);
  });

  it('is read again for every request: the kubelet replaces it', async () => {
    const config = inClusterConfig({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, directory);
    expect([config.server, config.namespace, await config.authorization()]).toEqual([
      'https://[fd00::1]:443',
      'sfc-system',
      'Bearer first',
    ]);
    file('token', 'second');
    file('ca.crt', 'another CA');
    expect([await config.authorization(), await config.tls()]).toEqual(['Bearer second', { ca: 'another CA' }]);
  });

  it('is missed outside of a pod, and where it is not mounted', () => {
    expect(() => inClusterConfig({}, directory)).toThrow('not in a pod');
    rmSync(join(directory, 'token'));
    expect(() => inClusterConfig({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, directory)).toThrow('token');
  });
});

describe('a kubeconfig file', () => {
  it('names certificates beside itself or in itself', async () => {
    file('ca.crt', 'CA');
    const user = `{client-certificate-data: ${Buffer.from('CERT').toString('base64')}, client-key: key.pem}`;
    file('key.pem', 'KEY');
    const config = kubeconfigFile(file('config', kubeconfig(user)));
    expect(config.server).toBe('https://10.0.0.1:6443');
    expect(await config.tls()).toMatchObject({ ca: 'CA', cert: 'CERT', key: 'KEY' });
    expect(await config.authorization()).toBeUndefined();
  });

  it('names tokens, files of tokens, passwords and plugins', async () => {
    const of = (user: string) => kubeconfigFile(file('config', kubeconfig(user, 'insecure-skip-tls-verify: true'))).authorization();
    expect(await of('{token: abc}')).toBe('Bearer abc');
    file('token', 'one\n');
    expect(await of('{tokenFile: token, token: abc}')).toBe('Bearer one');
    expect(await of('{username: me, password: secret}')).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`);
    const credential = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "told"}}';
    expect(await of(`{exec: {apiVersion: client.authentication.k8s.io/v1, command: echo, args: ['${credential}']}}`)).toBe('Bearer told');
  });

  it('says what is wrong with it', async () => {
    const read = (text: string) => () => kubeconfigFile(file('config', text));
    expect(() => kubeconfigFile(join(directory, 'nowhere'))).toThrow('ENOENT');
    expect(read('{')).toThrow(directory);
    expect(read(kubeconfig('{}').replace('current-context: here', 'current-context: there'))).toThrow('there is no context "there"');
    expect(read(kubeconfig('{}', 'insecure-skip-tls-verify: true', 'http://10.0.0.1'))).toThrow('is not https');
    await expect(read(kubeconfig('{}'))().tls()).rejects.toThrow('ca.crt');
    await expect(read(kubeconfig('{exec: {command: "false"}}'))().authorization()).rejects.toThrow('the credentials plugin false');
  });
});
