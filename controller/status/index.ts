export { type ChainFacts, chainStatus, type ServiceTrouble } from './chain.js';
export { programmed } from './programmed.js';
export { type ChainState, type Rival, type SelectorFacts, selectorStatus } from './selector.js';
export { type Notice, noticesOf } from './transitions.js';
