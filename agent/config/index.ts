export * from './command.js';
export * from './reference.js';
export * from './resolve.js';
export { SETTINGS, type Settings, settingsSchema } from './settings.js';
