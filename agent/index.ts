export { configurationReference } from './config/index.js';
export { allocationLookup, allocationRequest } from './intent.js';
export { counterViews } from './map-views.js';
export type * from './view.js';
