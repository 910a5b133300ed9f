/** What the agent knows at one moment; views are made from it, and from nothing else but the maps. */

import type { Compiled, FailsProbes, Problem, World } from '../policy/index.js';
import type { Allocation } from './allocation/index.js';
import type { TrackedEndpoint } from './endpoints.js';
import type { ReconcileResult, Target } from './reconciler/index.js';

/** One finished round. Replaced as a whole, so that a view never mixes two rounds. */
export interface RoundState {
  readonly world: World;
  readonly allocation: Allocation;
  readonly compiled: Compiled;
  /** As it was compiled. */
  readonly failsProbes: FailsProbes;
  /** Of parsing, allocating and compiling. */
  readonly problems: readonly Problem[];
  readonly endpoints: readonly TrackedEndpoint[];
  /** Why an interface could not be attached, by ifindex. */
  readonly attachErrors: ReadonlyMap<number, string>;
  readonly target: Target;
  readonly result: ReconcileResult;
}
