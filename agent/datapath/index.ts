export { type Choice, chooseDatapath } from './choice.js';
export { openDatapath, removeEverything } from './open.js';
