/** `ip monitor` as a trigger for rescans: one long-running child, restarted with back-off. */

import { spawn } from 'node:child_process';

const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 30_000;
/**
 * The kernel ends the child when the agent dies, even by SIGKILL: an orphan would hold its network
 * namespace, with every interface in it, until something there changes. util-linux has `setpriv`.
 */
const ENDS_WITH_US = ['setpriv', '--pdeathsig', 'SIGKILL'];
const COMMAND = [...ENDS_WITH_US, 'ip', '-o', 'monitor', 'link', 'route', 'neigh'];
/** Tells of qdiscs and filters, among them others' and our own. It does not tell of TCX links: nothing does. */
export const FILTER_MONITOR: readonly string[] = [...ENDS_WITH_US, 'tc', 'monitor'];
/** Lines of one change come together; what comes later within a burst (a pod's creation is a dozen) waits a little longer. */
const AT_ONCE_MS = 2;
const BURST_MS = 25;

export interface Monitor {
  /** Ends the child; no trigger comes afterwards. */
  stop(): void;
}

/**
 * @param onChange something about links, routes or neighbours changed
 * @param onTrouble the child ended; it is started again in `delayMs`
 */
export function startMonitor(
  onChange: () => void,
  onTrouble: (message: string, delayMs: number) => void,
  command: readonly string[] = COMMAND,
): Monitor {
  let stopped = false;
  let delay = FIRST_DELAY_MS;
  let child: ReturnType<typeof spawn> | undefined;
  let restart: NodeJS.Timeout | undefined;
  let trigger: NodeJS.Timeout | undefined;
  let triggered = Number.NEGATIVE_INFINITY;

  const start = () => {
    const running = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    child = running;
    let said = '';
    let over = false;
    running.stdout.on('data', () => {
      delay = FIRST_DELAY_MS;
      const inBurst = triggered + BURST_MS - performance.now();
      trigger ??= setTimeout(
        () => {
          trigger = undefined;
          triggered = performance.now();
          if (!stopped) onChange();
        },
        Math.max(AT_ONCE_MS, inBurst),
      );
    });
    running.stderr.on('data', (chunk: Buffer) => {
      said = `${said}${chunk.toString('utf8')}`.slice(-500);
    });
    const ended = (why: string) => {
      if (over || stopped) return;
      over = true;
      onTrouble(`ip monitor ended (${why})${said === '' ? '' : `: ${said.trim()}`}`, delay);
      restart = setTimeout(start, delay);
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    };
    running.on('error', (error) => ended(error.message));
    running.on('close', (code, signal) => ended(signal ?? `exit ${code}`));
  };
  start();

  return {
    stop() {
      stopped = true;
      clearTimeout(restart);
      clearTimeout(trigger);
      child?.kill('SIGKILL');
    },
  };
}
