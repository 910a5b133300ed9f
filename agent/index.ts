export { configurationReference } from './config/index.js';
export type * from './view.js';
