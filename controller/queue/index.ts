export { type QueueOptions, WorkQueue } from './queue.js';
