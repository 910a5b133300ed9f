/** A real Kubernetes on one machine, for tests and for `make cluster`. */

export { CACHE, COMPONENTS, type Component, component, KUBERNETES_VERSION } from './components.js';
export { type ControlPlane, type ControlPlaneOptions, type ControlPlaneProgram, startControlPlane } from './control-plane.js';
export type { Kubectl } from './kubectl.js';
export type { Machine, Program } from './machine.js';
export { type IpFamilies, numbersOf } from './numbers.js';
export { phase, type Say, seconds, silent, until } from './progress.js';
