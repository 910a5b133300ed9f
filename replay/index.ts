/** Captures through the pipeline: what would have become of their packets. */

export { WAYS, type Ways } from './direction.js';
export type { Node } from './node.js';
export type { JudgedPackets, ReplayReport, SelectedPackets } from './replay.js';
export { type Prepared, type PrepareOptions, prepareReplay, type Ran, type RunOptions, runReplay } from './run.js';
