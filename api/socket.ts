/**
 * The unix socket of the API, from its first moment readable and writable for owner and group alone.
 *
 * A socket takes its mode from the umask when it is bound, and the umask belongs to the whole
 * process. So it is bound in a fresh directory of mode 0700, given its mode there, and then renamed
 * to its name: whoever finds it there finds it with mode 0660. The rename also takes the place of
 * what a dead process left behind.
 */

import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { SfcError } from '../errors/index.js';

const SOCKET_MODE = 0o660;
/** sun_path holds 107 bytes and the final zero (unix(7)). */
const LONGEST_PATH = 107;

const errno = (error: unknown) => (error as NodeJS.ErrnoException).code ?? '';

async function look(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Connects and leaves. Empty when somebody answers, otherwise the errno. */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('');
    });
    socket.once('error', (error) => resolve(errno(error)));
  });
}

/** @throws SfcError ALREADY_RUNNING, or CONFIG_INVALID when something else has the name */
async function refuseTaken(path: string): Promise<void> {
  const there = await look(path);
  if (there === undefined) return;
  if (!there.isSocket()) throw new SfcError('CONFIG_INVALID', `socket: ${path} exists and is no socket`);
  const answer = await knock(path);
  if (answer === 'ECONNREFUSED' || answer === 'ENOENT') return;
  // A full backlog (EAGAIN) has a living process behind it, however busy.
  if (answer === '' || answer === 'EAGAIN') throw new SfcError('ALREADY_RUNNING', `a process answers on ${path}`);
  throw new SfcError('CONFIG_INVALID', `socket: ${path} cannot be looked at: ${answer}`);
}

/** Removes the socket, unless somebody has put another in its place. */
export type Release = () => Promise<void>;

/**
 * Listens at `path`. Its directory is made; what a dead process left is replaced. Two that start at
 * the same moment are kept apart by the lock of the run directory, not here.
 * @param listen binds the path it is given
 * @throws SfcError ALREADY_RUNNING, CONFIG_INVALID
 */
export async function listenAt(path: string, listen: (path: string) => Promise<unknown>): Promise<Release> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true });
  await refuseTaken(path);
  // Not by join(), which would make it a neighbour of the directory: perhaps on another file system, or a read-only one.
  const room = await mkdtemp(`${directory}/.`);
  try {
    const bound = join(room, 's');
    if (Math.max(Buffer.byteLength(bound), Buffer.byteLength(path)) > LONGEST_PATH) {
      throw new SfcError(
        'CONFIG_INVALID',
        `socket: ${path} is too long, its directory may have ${LONGEST_PATH - '/.123456/s'.length} bytes`,
      );
    }
    await listen(bound);
    await chmod(bound, SOCKET_MODE);
    const ours = await lstat(bound);
    await rename(bound, path);
    return async () => {
      const now = await look(path);
      if (now !== undefined && now.dev === ours.dev && now.ino === ours.ino) await unlink(path);
    };
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}
