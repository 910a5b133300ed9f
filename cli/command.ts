/** What every command is given. */

import type { Client } from './client.js';
import type { Io } from './io.js';

export interface Context {
  readonly io: Io;
  /** The agent that `--socket` names; nothing is asked before it is used. */
  readonly client: () => Client;
  /** Ends with this exit code though nothing was thrown. */
  readonly exitWith: (code: number) => void;
}
