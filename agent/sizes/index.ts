export { Sizes } from './sizes.js';
export { sizeProblem } from './words.js';
