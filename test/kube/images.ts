/**
 * Images without a registry: a root file system from Debian's packages, what Containerfiles make of it, and archives that nodes
 * import. All of it is kept in the cache.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../demo/testbed/index.js';
import { CACHE } from './components.js';
import { phase, type Say, silent } from './progress.js';

const IMAGES = join(CACHE, 'images');
const STORE = join(CACHE, 'buildah');
/** Root file systems are of this release. */
const SUITE = 'bookworm';
/** What sfc needs at run time, and what clients, servers and functions of tests and whoever looks at them need. */
const PACKAGES = [
  ['bpftool', 'conntrack', 'curl', 'ethtool', 'haproxy', 'iperf3', 'iproute2', 'iptables', 'iputils-ping', 'libbpf1', 'libnftables1'],
  ['libstdc++6', 'netcat-openbsd', 'nftables', 'openvpn', 'procps', 'python3', 'socat', 'tcpdump'],
].flat();
const LEFT_OUT = ['/usr/share/man/*', '/usr/share/doc/*', '/usr/share/locale/*'];

/** Of clients, servers and functions in tests. It sleeps unless told otherwise. */
export const TOOLS_IMAGE = 'docker.io/library/sfc-tools:1';

/** Its own temporary files too: what a killed one leaves lies with the rest of the cache. */
async function buildah(args: readonly string[], timeout = 300_000) {
  const TMPDIR = join(STORE, 'tmp');
  await mkdir(TMPDIR, { recursive: true });
  return run(['buildah', '--root', join(STORE, 'root'), '--runroot', join(STORE, 'run'), ...args], { timeout, env: { TMPDIR } });
}

const key = (...parts: readonly string[]): string => createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);
const BASE_KEY = key(SUITE, process.version, ...PACKAGES, ...LEFT_OUT);
/** Name of the base image, for `FROM ${BASE}`: Debian with the packages above, and this machine's Node.js in /usr/local/bin. */
export const BASE_IMAGE = `localhost/sfc-base:${BASE_KEY}`;

/** Makes a file of the cache beside its place and renames it: a run that was killed leaves no half file under the name. */
async function cached(file: string, make: (path: string) => Promise<unknown>): Promise<string> {
  if (existsSync(file)) return file;
  await mkdir(join(file, '..'), { recursive: true });
  const half = `${file}.${process.pid}`;
  await rm(half, { force: true });
  await make(half);
  await rename(half, file);
  return file;
}

/** Makes the base image, if it is not there. */
export async function baseImage(say: Say = silent): Promise<string> {
  const there = await buildah(['inspect', '--type=image', BASE_IMAGE]).then(
    () => true,
    () => false,
  );
  if (!there) {
    const rootfs = await cached(join(IMAGES, `rootfs-${BASE_KEY}.tar`), (file) =>
      phase(say, 'made the root file system of images', () =>
        run(
          [
            ...['mmdebstrap', '--quiet', '--format=tar', '--variant=minbase', `--include=${PACKAGES.join(',')}`],
            ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
            ...[`--customize-hook=copy-in ${process.execPath} /usr/local/bin`, SUITE, file],
          ],
          { timeout: 900_000 },
        ),
      ),
    );
    await fromText(
      'FROM scratch\nARG ROOTFS\nADD $ROOTFS /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n',
      BASE_IMAGE,
      rootfs,
    );
    await rm(rootfs);
  }
  return BASE_IMAGE;
}

/** The archive of the image of tools. */
export async function toolsImage(say: Say = silent): Promise<string> {
  // SIGKILL: a shell that waits as first process of a container takes no SIGTERM, and nobody wants to wait for that.
  const text = `FROM ${BASE_IMAGE}\nSTOPSIGNAL SIGKILL\nCMD ["sleep", "infinity"]\n`;
  return cached(join(IMAGES, `tools-${key(BASE_KEY, text)}.tar`), async (file) => {
    await baseImage(say);
    await phase(say, 'built the image of tools', async () => {
      await fromText(text, TOOLS_IMAGE);
      await push(TOOLS_IMAGE, file);
    });
  });
}

export interface ImageOptions {
  /** With registry and version: `docker.io/library/sfc:0.1.0`. Pods name it with `imagePullPolicy: Never`. */
  readonly name: string;
  /** Directory that the Containerfile copies from. */
  readonly context: string;
  /** Absolute. */
  readonly containerfile: string;
  /** Beside BASE, which is set. */
  readonly buildArguments?: Readonly<Record<string, string>>;
  /** The archive to write. */
  readonly archive: string;
  readonly say?: Say;
}

/** Builds an image from a Containerfile and writes its archive, for `importImage`. Unchanged steps are taken from the store. */
export async function buildImage({
  name,
  context,
  containerfile,
  buildArguments = {},
  archive,
  say = silent,
}: ImageOptions): Promise<string> {
  await baseImage(say);
  await phase(say, `built the image ${name}`, async () => {
    const values = Object.entries({ BASE: BASE_IMAGE, ...buildArguments }).map(([argument, value]) => `--build-arg=${argument}=${value}`);
    // chroot: a build needs no network and no container of its own. Layers: the next build starts where nothing has changed.
    await buildah(['bud', '--isolation=chroot', '--pull=never', '--layers', '-t', name, '-f', containerfile, ...values, context], 900_000);
    await rm(archive, { force: true });
    await push(name, archive);
  });
  return archive;
}

const push = (name: string, archive: string) =>
  buildah(['push', '--quiet', '--disable-compression', name, `oci-archive:${archive}:${name}`]);

/** Builds from a Containerfile's text. A file that it adds is named by $ROOTFS. */
async function fromText(text: string, name: string, rootfs?: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sfc-image-'));
  try {
    await writeFile(join(directory, 'Containerfile'), text);
    const context = rootfs === undefined ? directory : IMAGES;
    const argument = rootfs === undefined ? [] : [`--build-arg=ROOTFS=${rootfs.slice(IMAGES.length + 1)}`];
    await buildah(['bud', '--isolation=chroot', '--pull=never', '-t', name, '-f', join(directory, 'Containerfile'), ...argument, context]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
