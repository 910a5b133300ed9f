export * from './directory.js';
export * from './files.js';
export { KubernetesSource, type KubernetesSourceOptions, watchedKinds } from './kubernetes-source.js';
export * from './manifest-source.js';
export * from './manifests.js';
export * from './open.js';
export type * from './source.js';
