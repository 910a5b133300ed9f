/** A real Kubernetes on one machine, for tests and for `make cluster`. */

export { type Cluster, type ClusterOptions, startCluster } from './cluster.js';
export { CACHE, COMPONENTS, type Component, component, componentPath, KUBERNETES_VERSION } from './components.js';
export { type ControlPlane, type ControlPlaneOptions, startControlPlane } from './control-plane.js';
export type { ControlPlaneProgram } from './control-plane-files.js';
export { BASE_IMAGE, baseImage, buildImage, type ImageOptions, TOOLS_IMAGE, toolsImage } from './images.js';
export type { Kubectl } from './kubectl.js';
export type { Machine, Program } from './machine.js';
export type { Node, NodeProgram } from './node.js';
export type { Cni } from './node-files.js';
export { type IpFamilies, numbersOf } from './numbers.js';
export { phase, type Say, seconds, silent, until } from './progress.js';
export { type Swept, sweep, testPlace } from './sweep.js';
export { apply, type PodFacts, podsOf, type ToolsOptions, toolsDaemonSet, toolsPod } from './workloads.js';
