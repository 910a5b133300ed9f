export * from './directory.js';
export * from './files.js';
export * from './manifests.js';
