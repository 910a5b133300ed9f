/** How long the agent's API takes to answer, asked again and again while something else goes on. */

import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between an answer and the next question, ms. */
const PAUSE_MS = 20;

function ask(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path: '/v1/status', agent: false, headers: { host: 'localhost' } }, (response) => {
      response.on('error', reject).on('end', resolve).resume();
    });
    asking.on('error', reject).end();
  });
}

/** Milliseconds of each answer of `GET /v1/status` until `work` is over. Throws what `work` or a question throws. */
export async function answersDuring(socketPath: string, work: Promise<unknown>): Promise<readonly number[]> {
  const taken: number[] = [];
  let over = false;
  const finished = work.finally(() => {
    over = true;
  });
  while (!over) {
    const asked = performance.now();
    await ask(socketPath);
    taken.push(performance.now() - asked);
    await sleep(PAUSE_MS);
  }
  await finished;
  return taken;
}
