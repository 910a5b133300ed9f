/** Where the agent has its manifests from, whatever it is: a directory, or a cluster. */

import type { Problem, World } from '../../policy/index.js';
import type { AgentView, SourceView } from '../view.js';

/** What a source says at one moment. */
export interface Reading {
  readonly world: World;
  readonly problems: readonly Problem[];
  /** Documents or objects found, good and bad. */
  readonly documents: number;
  /** Puts to a problem of a resource as a whole where that resource stands. */
  locate(problem: Problem): Problem;
}

/** How a source fares. */
export interface SourceState extends Pick<SourceView, 'kind' | 'where' | 'trouble' | 'since' | 'watches' | 'report'> {
  /** What to do about `trouble`. */
  readonly hint: string;
}

export interface Source {
  /** Before anything else: `tell` is called whenever `take` has something. */
  listen(tell: () => void): void;
  /** What has changed since it was taken last, complete; undefined: nothing, or nothing is known yet. Never throws. */
  take(): Reading | undefined;
  state(): SourceState;
  /** A round has ended that brought about what was taken last. */
  reached(view: AgentView): void;
}
