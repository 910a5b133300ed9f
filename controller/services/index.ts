export { isOfChain, planService, type ServiceStep } from './plan.js';
export { CHAIN_ANNOTATION, type ChainRef, type ServiceObject, type WantedService, wantedServices } from './wanted.js';
