export * from './directory.js';
export * from './files.js';
export * from './manifest-source.js';
export * from './manifests.js';
export type * from './source.js';
