/** The verdict of an API server on a document, asked by dry runs over kept connections. */

import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import type { ControlPlane } from '../kube/index.js';

export interface Verdict {
  readonly accepted: boolean;
  /** Why it was refused; the object as it would be stored where it was not. */
  readonly body: { readonly message?: string; readonly spec?: unknown };
}

export interface Answer {
  readonly status: number;
  readonly body: { readonly message?: string; readonly spec?: unknown };
}

export interface ApiServer {
  /** What `kubectl create` with strict validation would come to. Nothing is stored. */
  judge(plural: string, document: unknown): Promise<Verdict>;
  /** A merge patch of an object's status, with nothing else asked before. */
  patchStatus(plural: string, name: string, status: unknown): Promise<Answer>;
  close(): void;
}

/** As a service account, by its kubeconfig and token. */
export function apiServer(plane: ControlPlane, { outside, token }: { readonly outside: string; readonly token: string }): ApiServer {
  const { clusters } = parse(readFileSync(outside, 'utf8')) as { clusters: { cluster: { server: string } }[] };
  const server = clusters[0]?.cluster.server ?? '';
  const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: readFileSync(plane.authority.certificate) });
  const ask = (method: string, path: string, type: string, document: unknown): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': type };
      const asking = request(`${server}/apis/networking.gke.io/v1/${path}`, { method, agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
      });
      asking.on('error', reject);
      asking.end(JSON.stringify(document));
    });
  return {
    async judge(plural, document) {
      const { status, body } = await ask('POST', `${plural}?dryRun=All&fieldValidation=Strict`, 'application/json', document);
      // 400: a field that it does not know; 422: one that it knows and refuses.
      if (status === 201 || status === 400 || status === 422) return { accepted: status === 201, body };
      throw new Error(`the API server answers ${status}: ${body.message}`);
    },
    patchStatus: (plural, name, status) => ask('PATCH', `${plural}/${name}/status`, 'application/merge-patch+json', { status }),
    close: () => agent.destroy(),
  };
}

/** As cluster-admin. */
export async function administrator(plane: ControlPlane): Promise<ApiServer> {
  await plane.kubectl(['create', 'serviceaccount', 'judge', '--namespace=default']);
  await plane.kubectl(['create', 'clusterrolebinding', 'judge', '--clusterrole=cluster-admin', '--serviceaccount=default:judge']);
  return apiServer(plane, await plane.serviceAccount('default', 'judge'));
}
