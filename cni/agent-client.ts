/** Asks the agent over its unix socket. One that is not there yet, or restarts, is asked again for a while. */

import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { CNI_CODE, CniError } from './spec.js';

export interface Answer {
  readonly status: number;
  /** JSON. */
  readonly body: unknown;
}

/** Nobody listens, or who did has ended or is ending. */
const AWAY = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAGAIN', 'ENOTDIR']);
const PAUSE_MS = 100;

function askOnce(socketPath: string, method: string, path: string, body: unknown, answerMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      host: 'localhost',
      ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    const asking = request({ socketPath, method, path, agent: false, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(late);
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) });
        } catch {
          reject(new CniError(CNI_CODE.ioFailure, `what answers at ${socketPath} is no sfcd: no JSON`));
        }
      });
    });
    const late = setTimeout(() => {
      asking.destroy(new CniError(CNI_CODE.tryAgainLater, `sfcd did not answer within ${answerMs / 1000} s`));
    }, answerMs);
    asking.on('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
    asking.end(text);
  });
}

/**
 * @param answerMs for one answer
 * @param awayMs for how long nobody may answer
 * @returns undefined when the agent is away
 * @throws CniError when it answers too late or what is no JSON
 */
export async function askAgent(
  socketPath: string,
  method: 'GET' | 'PUT' | 'DELETE',
  path: string,
  body: unknown,
  answerMs: number,
  awayMs: number,
): Promise<Answer | undefined> {
  const end = performance.now() + awayMs;
  for (;;) {
    try {
      return await askOnce(socketPath, method, path, body, answerMs);
    } catch (error) {
      if (!AWAY.has((error as NodeJS.ErrnoException).code ?? '')) {
        if (error instanceof CniError) throw error;
        throw new CniError(CNI_CODE.ioFailure, `${socketPath}: ${(error as Error).message}`);
      }
    }
    if (performance.now() + PAUSE_MS > end) return undefined;
    await sleep(PAUSE_MS);
  }
}
