/**
 * What each command does. The agent is asked; what became of that is decided on here.
 *
 *     ADD ─► told the agent ─► it has everything of the pod in place ─► the previous result, unchanged
 *                          ├─► it has not, in time ─────────────────► try again later (`allow`: let it start)
 *                          └─► nobody answers ─► whenAway: hold, where the guard holds; allow; else try again later
 */

import type { SandboxesBody, SandboxView } from '../agent/view.js';
import type { Answer } from './agent-client.js';
import type { Attachment, Invocation } from './invocation.js';
import { sandboxOf } from './sandbox.js';
import { CNI_CODE, CniError } from './spec.js';

export interface Ports {
  /** Asks the agent; undefined when it is away. Throws when it can be talked to and its answer not read. */
  readonly ask: (
    method: 'GET' | 'PUT' | 'DELETE',
    path: string,
    body: unknown,
    answerMs: number,
    awayMs: number,
  ) => Promise<Answer | undefined>;
  /** Does the guard hold new interfaces, as the agent left it? */
  readonly guarded: () => boolean;
}

/** Beyond what the agent may wait for: for the request itself (ms). */
const REQUEST_MS = 5000;
/** Neither is waited for: nothing that runs depends on it (ms). */
const DELETE_AWAY_MS = 0;

const pathOf = ({ containerId, ifname }: Attachment) =>
  `/v1/sandboxes/${encodeURIComponent(containerId)}?interface=${encodeURIComponent(ifname)}`;

const wordsOf = ({ body }: Answer) => {
  const { code = '', message = '' } = (body ?? {}) as { code?: string; message?: string };
  return `${code}${code === '' ? '' : ': '}${message}`;
};

/** Nobody answers. @throws CniError when that is no good */
function withoutAgent({ settings: { whenAway, socket } }: Invocation, { guarded }: Ports, code: number): void {
  if (whenAway === 'allow' || (whenAway === 'hold' && guarded())) return;
  const why = whenAway === 'hold' ? ', and no guard holds packets' : '';
  throw new CniError(
    code,
    `sfcd is away${why}: the pod would send past its service functions`,
    `nobody answers at ${socket}; sfcd has to run on this node`,
  );
}

async function add(invocation: Invocation, attachment: Attachment, ports: Ports): Promise<void> {
  const sandbox = sandboxOf(invocation, attachment);
  if (sandbox === undefined) return;
  const { timeoutMs, awayMs, whenAway } = invocation.settings;
  const { interface: _, ...told } = sandbox;
  const body = { ...told, waitMs: timeoutMs };
  const answer = await ports.ask('PUT', pathOf(attachment), body, timeoutMs + REQUEST_MS, awayMs);
  if (answer === undefined) return withoutAgent(invocation, ports, CNI_CODE.tryAgainLater);
  if (answer.status === 200 || whenAway === 'allow') return;
  throw new CniError(CNI_CODE.tryAgainLater, `${sandbox.pod.namespace}/${sandbox.pod.name}: ${wordsOf(answer)}`);
}

async function check(invocation: Invocation, attachment: Attachment, ports: Ports): Promise<void> {
  if (sandboxOf(invocation, attachment) === undefined) return;
  const answer = await ports.ask('GET', pathOf(attachment), undefined, REQUEST_MS, invocation.settings.awayMs);
  // What is in place steers without the agent.
  if (answer === undefined) return;
  if (answer.status === 404) throw new CniError(CNI_CODE.containerUnknown, wordsOf(answer));
  if (answer.status !== 200) throw new CniError(CNI_CODE.ioFailure, wordsOf(answer));
  const { missing } = answer.body as SandboxView;
  if (missing !== '') throw new CniError(CNI_CODE.tryAgainLater, missing);
}

/** The specification wants DEL to succeed, whatever is there: an agent that is away finds the interface gone when it is back. */
async function remove(attachment: Attachment, { ask }: Ports): Promise<void> {
  await ask('DELETE', pathOf(attachment), undefined, REQUEST_MS, DELETE_AWAY_MS).catch(() => undefined);
}

async function collect({ network, valid }: Invocation, { ask }: Ports): Promise<void> {
  const answer = await ask('GET', '/v1/sandboxes', undefined, REQUEST_MS, DELETE_AWAY_MS);
  if (answer?.status !== 200) return;
  const kept = new Set(valid.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
  for (const { id, ...sandbox } of (answer.body as SandboxesBody).items) {
    if (sandbox.network !== network || kept.has(`${id}/${sandbox.interface}`)) continue;
    await remove({ containerId: id, ifname: sandbox.interface, netns: '', args: new Map() }, { ask, guarded: () => false });
  }
}

async function status(invocation: Invocation, ports: Ports): Promise<void> {
  const answer = await ports.ask('GET', '/healthz', undefined, REQUEST_MS, DELETE_AWAY_MS);
  if (answer === undefined) withoutAgent(invocation, ports, CNI_CODE.notAvailable);
}

/**
 * @returns what goes to standard output; undefined: nothing
 * @throws CniError
 */
export async function runCommand(invocation: Invocation, ports: Ports): Promise<unknown> {
  const { command, attachment, previous } = invocation;
  if (command === 'GC') await collect(invocation, ports);
  else if (command === 'STATUS') await status(invocation, ports);
  else if (attachment !== undefined) {
    if (command === 'ADD') await add(invocation, attachment, ports);
    else if (command === 'CHECK') await check(invocation, attachment, ports);
    else await remove(attachment, ports);
  }
  return command === 'ADD' ? previous : undefined;
}
