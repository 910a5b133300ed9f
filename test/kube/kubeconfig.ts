/** Kubeconfig files: which API server, whom it believes to be, and as whom. */

import { writeFile } from 'node:fs/promises';
import type { Certificate } from './certificates.js';

export interface KubeconfigOptions {
  /** As `https://127.0.0.1:6443`. */
  readonly server: string;
  /** Path of the authority's certificate. */
  readonly authority: string;
  readonly user: { readonly certificate: Certificate } | { readonly token: string };
}

/** Writes a kubeconfig that only its owner reads. JSON is YAML. */
export async function writeKubeconfig(path: string, { server, authority, user }: KubeconfigOptions): Promise<string> {
  const credentials =
    'token' in user ? { token: user.token } : { 'client-certificate': user.certificate.certificate, 'client-key': user.certificate.key };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sfc', cluster: { server, 'certificate-authority': authority } }],
    users: [{ name: 'user', user: credentials }],
    contexts: [{ name: 'sfc', context: { cluster: 'sfc', user: 'user' } }],
    'current-context': 'sfc',
  };
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return path;
}
