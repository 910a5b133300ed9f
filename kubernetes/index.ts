export {
  type ApplyOptions,
  type DeleteOptions,
  KubernetesClient,
  type ListQuery,
  type ObjectList,
  type WatchEvent,
  type WatchQuery,
  type Written,
} from './client.js';
export { type ClusterConfig, clusterConfig, inClusterConfig, kubeconfigFile } from './config.js';
export type { Traffic } from './connection.js';
export { ObjectDigest } from './digest.js';
export { Informer, type InformerOptions, type InformerState } from './informer.js';
export * from './objects.js';
export { RefusedError } from './refusals.js';
export { apiVersionOf, type Place, pathOf, RESOURCES, type Resource } from './resources.js';
export { type Change, ObjectStore } from './store.js';
