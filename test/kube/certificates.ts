/** The certificates of a cluster: one authority, made by openssl(1), and what it signs. */

import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../demo/testbed/index.js';

/** Paths of a certificate and its key, both PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  readonly certificate: string;
  /** Key pair that service accounts' tokens are signed with. */
  readonly serviceAccounts: { readonly privateKey: string; readonly publicKey: string };
  sign(request: SigningRequest): Promise<Certificate>;
}

export interface SigningRequest {
  /** Of the two files. */
  readonly name: string;
  /** User in Kubernetes. */
  readonly commonName: string;
  /** Group in Kubernetes. */
  readonly organization?: string;
  /** Names and addresses of a server, as openssl writes them: `IP:10.0.0.1`, `DNS:localhost`. */
  readonly alternativeNames?: readonly string[];
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
/** Days. A cluster lives for hours. */
const VALIDITY = '30';

/** Makes an authority in a directory, which is made as well. */
export async function makeAuthority(directory: string): Promise<Authority> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(directory, name);
  const own = ['-keyout', file('ca.key'), '-out', file('ca.crt')];
  await run(['openssl', 'req', '-x509', '-new', ...KEY, '-days', VALIDITY, '-subj', '/CN=sfc-kube', ...own]);

  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serviceAccounts = { privateKey: file('service-accounts.key'), publicKey: file('service-accounts.pub') };
  await writeFile(serviceAccounts.privateKey, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(serviceAccounts.publicKey, publicKey.export({ type: 'spki', format: 'pem' }));

  return {
    certificate: file('ca.crt'),
    serviceAccounts,
    async sign({ name, commonName, organization, alternativeNames = [] }) {
      const signed = { certificate: file(`${name}.crt`), key: file(`${name}.key`) };
      const subject = `${organization === undefined ? '' : `/O=${organization}`}/CN=${commonName}`;
      const extensions = ['basicConstraints=critical,CA:FALSE', 'extendedKeyUsage=clientAuth,serverAuth'];
      if (alternativeNames.length > 0) extensions.push(`subjectAltName=${alternativeNames.join(',')}`);
      const by = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-days', VALIDITY];
      const to = ['-keyout', signed.key, '-out', signed.certificate];
      await run([
        'openssl',
        'req',
        '-x509',
        '-new',
        ...KEY,
        ...by,
        '-subj',
        subject,
        ...extensions.flatMap((one) => ['-addext', one]),
        ...to,
      ]);
      return signed;
    },
  };
}
