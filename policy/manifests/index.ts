export { checkWorld, type Validation, validateManifests } from './check.js';
export type { Identity } from './identify.js';
export { type InForce, mergeLastGood } from './last-good.js';
export { type Entry, type ManifestFile, type Manifests, parseManifests, type UnreadFile } from './parse.js';
