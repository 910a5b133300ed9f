export { Cluster, type Key } from './cluster.js';
export type { ChainObject, PodObject, SelectorObject, SteeringNodeObject } from './objects.js';
