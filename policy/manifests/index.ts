export { checkLengths, checkWorld, findRivals, locateProblem, type Rivalry, type Validation, validateManifests } from './check.js';
export { type Entry, type ManifestFile, readObject } from './entries.js';
export type { Identity } from './identify.js';
export { type InForce, mergeLastGood, withLastGood } from './last-good.js';
export { type Manifests, parseManifests, rememberingParser, type UnreadFile } from './parse.js';
export { type ReadResource, readResource } from './read-resource.js';
