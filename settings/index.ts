export * from './command.js';
export * from './describe.js';
export * from './reference.js';
export { type SettingSources, type SettingsDeclaration, settle } from './resolve.js';
