/**
 * Where the API server is and who we are to it: the pod's service account, or a kubeconfig file.
 *
 * What may rotate (tokens, certificates, the CA) is read again whenever it is used: requests are few, and a file that is
 * read late is a request that is refused.
 */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Cluster, newClusters, newContexts, newUsers, type User } from '@kubernetes/client-node/dist/config_types.js';
import { ExecAuth } from '@kubernetes/client-node/dist/exec_auth.js';
import { parse } from 'yaml';
import { SfcError } from '../errors/index.js';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** For `tls.connect`; PEM. */
export interface TlsIdentity {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
}

export interface ClusterConfig {
  /** `https://10.96.0.1:443`. */
  readonly server: string;
  /** For messages: `the service account`, or the file. */
  readonly source: string;
  /** Namespace of the service account or of the context, where there is one. */
  readonly namespace: string | undefined;
  /** For a new connection. @throws SfcError KUBERNETES_CONFIG */
  tls(): Promise<TlsIdentity>;
  /** For a request: the header Authorization, or undefined. @throws SfcError KUBERNETES_CONFIG */
  authorization(): Promise<string | undefined>;
}

function wrong(message: string, cause?: unknown): SfcError {
  return new SfcError('KUBERNETES_CONFIG', message, { cause });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw wrong((cause as Error).message, cause);
  }
}

/**
 * The pod's own service account. The kubelet replaces its token before it expires.
 * @throws SfcError KUBERNETES_CONFIG outside of a pod
 */
export function inClusterConfig(environment: Readonly<Record<string, string | undefined>>, directory = SERVICE_ACCOUNT): ClusterConfig {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (host === '') throw wrong('not in a pod: KUBERNETES_SERVICE_HOST is not set');
  const token = () => `Bearer ${read(`${directory}/token`).trim()}`;
  token();
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    source: 'the service account',
    namespace: read(`${directory}/namespace`).trim(),
    tls: async () => ({ ca: read(`${directory}/ca.crt`) }),
    authorization: async () => token(),
  };
}

interface Credentials {
  readonly headers: Record<string, string>;
  cert?: string;
  key?: string;
}

const decoded = (data: string | undefined) => (data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8'));

function identity(cluster: Cluster, user: User, at: (file: string) => string, exec: Credentials): TlsIdentity {
  const pem = (data: string | undefined, file: string | undefined) => decoded(data) ?? (file === undefined ? undefined : read(at(file)));
  return {
    ca: pem(cluster.caData, cluster.caFile),
    cert: exec.cert ?? pem(user.certData, user.certFile),
    key: exec.key ?? pem(user.keyData, user.keyFile),
    servername: cluster.tlsServerName,
    ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
  };
}

function authorizationOf(user: User, at: (file: string) => string, exec: Credentials): string | undefined {
  // A token file wins over a token, as with kubectl: it is the one that rotates.
  const file = user.authProvider?.config?.tokenFile as string | undefined;
  if (file !== undefined) return `Bearer ${read(at(file)).trim()}`;
  if (user.token !== undefined) return `Bearer ${user.token}`;
  if (user.username === undefined) return exec.headers.Authorization;
  return `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
}

interface Kubeconfig {
  readonly clusters?: unknown;
  readonly users?: unknown;
  readonly contexts?: unknown;
  readonly 'current-context'?: string;
}

function parseKubeconfig(file: string): { cluster: Cluster; user: User; namespace: string | undefined } {
  try {
    const text = (parse(read(file)) ?? {}) as Kubeconfig;
    const named = <T extends { name: string }>(kind: string, all: readonly T[], name: string): T => {
      const found = all.find((one) => one.name === name);
      if (found === undefined) throw new Error(`there is no ${kind} ${JSON.stringify(name)}`);
      return found;
    };
    const context = named('context', newContexts(text.contexts), text['current-context'] ?? '');
    const cluster = named('cluster', newClusters(text.clusters), context.cluster);
    const user = named('user', newUsers(text.users), context.user);
    const written = (text.users as readonly { readonly name: string; readonly user?: { readonly tokenFile?: string } }[]).find(
      ({ name }) => name === user.name,
    );
    const tokenFile = written?.user?.tokenFile;
    const authProvider = tokenFile === undefined ? user.authProvider : { name: 'tokenFile', config: { tokenFile } };
    return { cluster, user: { ...user, authProvider }, namespace: context.namespace };
  } catch (cause) {
    if (cause instanceof SfcError) throw cause;
    throw wrong(`${file}: ${(cause as Error).message}`, cause);
  }
}

/**
 * The current context of a kubeconfig file: certificates, tokens, token files, user and password, exec plugins.
 * @throws SfcError KUBERNETES_CONFIG
 */
export function kubeconfigFile(file: string): ClusterConfig {
  const { cluster, user, namespace } = parseKubeconfig(file);
  if (cluster.proxyUrl !== undefined) throw wrong(`${file}: proxy-url is not supported`);
  if (!cluster.server.startsWith('https://')) throw wrong(`${file}: the server ${cluster.server} is not https`);
  const at = (name: string) => resolve(dirname(file), name);
  const plugin = new ExecAuth();
  const exec = async (): Promise<Credentials> => {
    const credentials: Credentials = { headers: {} };
    if (user.exec === undefined || user.exec === null) return credentials;
    try {
      await plugin.applyAuthentication(user, credentials as Parameters<ExecAuth['applyAuthentication']>[1]);
    } catch (cause) {
      throw wrong(`${file}: the credentials plugin ${String(user.exec.command)}: ${(cause as Error).message}`, cause);
    }
    return credentials;
  };
  return {
    server: cluster.server.replace(/\/+$/, ''),
    source: file,
    namespace,
    tls: async () => identity(cluster, user, at, await exec()),
    authorization: async () => authorizationOf(user, at, await exec()),
  };
}

/**
 * @param kubeconfig file, or empty for the pod's service account
 * @throws SfcError KUBERNETES_CONFIG
 */
export function clusterConfig(kubeconfig: string, environment: Readonly<Record<string, string | undefined>>): ClusterConfig {
  return kubeconfig === '' ? inClusterConfig(environment) : kubeconfigFile(kubeconfig);
}
