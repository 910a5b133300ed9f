export * from './command.js';
export * from './reference.js';
export * from './resolve.js';
export { type HostFacts, SETTINGS, type SettingDescription, type Settings, settingsSchema } from './settings.js';
