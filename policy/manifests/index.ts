export { checkWorld, findRivals, locateProblem, type Rivalry, type Validation, validateManifests } from './check.js';
export type { Entry, ManifestFile } from './entries.js';
export type { Identity } from './identify.js';
export { type InForce, mergeLastGood } from './last-good.js';
export { type Manifests, parseManifests, rememberingParser, type UnreadFile, worldOf } from './parse.js';
export { type ReadResource, type Resource as ReadableResource, readResource } from './read-resource.js';
