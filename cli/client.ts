/** Asks the agent over its unix socket. */

import { request } from 'node:http';
import type { ErrorBody } from '../api/index.js';
import { ERRORS, type ErrorCode, SfcError } from '../errors/index.js';

/** Where an agent without settings listens. */
export const DEFAULT_SOCKET = '/run/sfc/sfcd.sock';

export interface Client {
  readonly socketPath: string;
  /** @throws SfcError AGENT_UNREACHABLE, or the error that the agent answered with */
  get<Body>(path: string): Promise<Body>;
}

export interface ClientOptions {
  /** A connection on which nothing moves for so long is given up (ms). */
  readonly timeoutMs?: number;
  /** An answer may have so many bytes; a full map of default capacity has less. */
  readonly largest?: number;
}

/** Why there is no talking to the agent, and what to do about it, by errno. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket; no sfcd was started with it',
  ECONNREFUSED: 'nobody listens on it; the sfcd that made it has ended',
  EACCES: 'permission denied; the socket is for root and its group, so run sfc as one of them',
  EPERM: 'permission denied; the socket is for root and its group, so run sfc as one of them',
  ENOTSOCK: 'it is no socket',
  ENOTDIR: 'a part of the path is no directory',
  ECONNRESET: 'the agent closed the connection; it may be stopping',
  EPIPE: 'the agent closed the connection; it may be stopping',
  EAGAIN: 'the agent is too busy to accept a connection',
};

/** Why there is no talking, in words. */
export function unreachable(socketPath: string, error: NodeJS.ErrnoException): SfcError {
  return new SfcError('AGENT_UNREACHABLE', `${socketPath}: ${UNREACHABLE[error.code ?? ''] ?? error.message}`, { cause: error });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(socketPath: string, path: string, { timeoutMs, largest }: Required<ClientOptions>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // No connection is kept: the command ends when its answer is there.
    const asking = request({ socketPath, path, agent: false, timeout: timeoutMs, headers: { host: 'localhost' } }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > largest) give(new SfcError('USAGE', `the answer is larger than ${largest} bytes; ask for less with --limit`));
      });
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
    });
    // The first reason counts: destroying a request gives it further errors.
    function give(error: SfcError): void {
      reject(error);
      asking.destroy();
    }
    const fail = (error: Error) => give(unreachable(socketPath, error));
    asking.on('timeout', () => fail(new Error(`no answer within ${timeoutMs / 1000} s; the agent hangs`)));
    asking.on('error', fail);
    asking.end();
  });
}

const isCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(ERRORS, code);

function understood({ status, text }: Answer, socketPath: string): unknown {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new SfcError('AGENT_UNREACHABLE', `${socketPath}: what answers there is no sfcd (HTTP status ${status}, no JSON)`, { cause });
  }
  if (status === 200) return body;
  const { code, message } = (body ?? {}) as Partial<ErrorBody>;
  if (isCode(code)) throw new SfcError(code, String(message));
  throw new SfcError('INTERNAL', `the agent answered with HTTP status ${status}: ${code ?? ''} ${message ?? ''}`.trim());
}

export function apiClient(socketPath: string, { timeoutMs = 10_000, largest = 400 << 20 }: ClientOptions = {}): Client {
  return {
    socketPath,
    async get<Body>(path: string): Promise<Body> {
      return understood(await ask(socketPath, path, { timeoutMs, largest }), socketPath) as Body;
    },
  };
}
