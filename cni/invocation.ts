/** One call of the plugin, from the environment and standard input to checked values. Pure. */

import { CNI_CODE, CniError, NEWEST_VERSION, SUPPORTED_VERSIONS } from './spec.js';

export const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type Command = (typeof COMMANDS)[number];

/** What becomes of a pod's start while no agent answers. */
export const WHEN_AWAY = ['hold', 'fail', 'allow'] as const;
export type WhenAway = (typeof WHEN_AWAY)[number];

/** The plugin's own part of the configuration, with its defaults. */
export interface PluginSettings {
  /** Of the agent. */
  readonly socket: string;
  /** A file that is there while the guard holds new interfaces; it names the boot in which it was written. */
  readonly guardMark: string;
  readonly whenAway: WhenAway;
  /** For how long an agent that does not answer is asked again, ms. */
  readonly awayMs: number;
  /** For how long the agent may wait for the pod's entries, ms. */
  readonly timeoutMs: number;
}

export interface Attachment {
  readonly containerId: string;
  /** Of the network namespace; empty where the runtime has none any more (DEL). */
  readonly netns: string;
  /** Of the interface inside it. */
  readonly ifname: string;
  /** CNI_ARGS, without what is no `key=value`. */
  readonly args: ReadonlyMap<string, string>;
}

/** The result of the plugins before, as far as it is read here. */
export interface PreviousResult {
  readonly interfaces?: readonly { readonly name?: string; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address?: string; readonly interface?: number }[];
}

export interface Invocation {
  readonly command: Exclude<Command, 'VERSION'>;
  readonly cniVersion: string;
  /** Name of the network. */
  readonly network: string;
  readonly settings: PluginSettings;
  /** Undefined for GC and STATUS. */
  readonly attachment: Attachment | undefined;
  /** As it came: it is passed on unchanged. */
  readonly previous: PreviousResult | undefined;
  /** Of GC: what is still in use. */
  readonly valid: readonly { readonly containerID: string; readonly ifname: string }[];
}

export type Environment = Readonly<Record<string, string | undefined>>;
type Row = Readonly<Record<string, unknown>>;

/** The specification's own pattern for container IDs, which the agent has in a path and in a file name. */
const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const SECOND = 1000;
const DEFAULTS = { socket: '/run/sfc/sfcd.sock', whenAway: 'hold', awaySeconds: 2, timeoutSeconds: 20 } as const;
/** Kubernetes gives up on a sandbox after four minutes. */
const LONGEST_SECONDS = 120;

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function commandOf({ CNI_COMMAND: command = '' }: Environment): Command {
  const found = COMMANDS.find((one) => one === command);
  if (found !== undefined) return found;
  throw new CniError(CNI_CODE.invalidEnvironment, `CNI_COMMAND is ${command === '' ? 'missing' : command}`);
}

/** The version that an answer has to be in, whatever else is wrong. */
export function versionOf(text: string): string {
  try {
    const { cniVersion } = JSON.parse(text) as { cniVersion?: unknown };
    return typeof cniVersion === 'string' && cniVersion !== '' ? cniVersion : NEWEST_VERSION;
  } catch {
    return NEWEST_VERSION;
  }
}

/** @throws CniError invalidConfiguration */
export function settingsOf(config: Row): PluginSettings {
  const given = { ...DEFAULTS, ...config } as Readonly<Record<keyof typeof DEFAULTS, unknown>> & Row;
  const wrong = (name: string, expected: string) =>
    new CniError(CNI_CODE.invalidConfiguration, `${name} must be ${expected}, not ${JSON.stringify(given[name])}`);
  const seconds = (name: 'awaySeconds' | 'timeoutSeconds') => {
    const value = given[name];
    if (typeof value !== 'number' || !(value >= 0 && value <= LONGEST_SECONDS)) throw wrong(name, `0 to ${LONGEST_SECONDS}`);
    return value * SECOND;
  };
  const { socket } = given;
  if (typeof socket !== 'string' || !socket.startsWith('/')) throw wrong('socket', 'an absolute path');
  const whenAway = WHEN_AWAY.find((one) => one === given.whenAway);
  if (whenAway === undefined) throw wrong('whenAway', `one of ${WHEN_AWAY.join(', ')}`);
  const { guardMark = socket.replace(/[^/]*$/, 'guard') } = given;
  if (typeof guardMark !== 'string' || !guardMark.startsWith('/')) throw wrong('guardMark', 'an absolute path');
  return { socket, guardMark, whenAway, awayMs: seconds('awaySeconds'), timeoutMs: seconds('timeoutSeconds') };
}

function attachmentOf(environment: Environment, command: Command): Attachment {
  const { CNI_CONTAINERID: containerId = '', CNI_NETNS: netns = '', CNI_IFNAME: ifname = '', CNI_ARGS = '' } = environment;
  const needed = { CNI_CONTAINERID: containerId, CNI_IFNAME: ifname, ...(command === 'DEL' ? {} : { CNI_NETNS: netns }) };
  for (const [name, value] of Object.entries(needed)) {
    if (value === '') throw new CniError(CNI_CODE.invalidEnvironment, `${name} is missing`);
  }
  if (!CONTAINER_ID.test(containerId)) throw new CniError(CNI_CODE.invalidEnvironment, `CNI_CONTAINERID ${containerId} is no container ID`);
  const args = CNI_ARGS.split(';').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=');
    return at < 1 ? [] : [[pair.slice(0, at), pair.slice(at + 1)]];
  });
  return { containerId, netns, ifname, args: new Map(args) };
}

/**
 * @param text standard input
 * @throws CniError for whatever is missing or wrong
 */
export function readInvocation(command: Exclude<Command, 'VERSION'>, environment: Environment, text: string): Invocation {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    throw new CniError(CNI_CODE.undecodable, `the configuration is no JSON: ${(cause as Error).message}`);
  }
  if (!isRow(config)) throw new CniError(CNI_CODE.undecodable, 'the configuration is no object');
  const { cniVersion = '', name: network = '', prevResult, 'cni.dev/valid-attachments': valid } = config;
  if (!SUPPORTED_VERSIONS.some((one) => one === cniVersion)) {
    const has = SUPPORTED_VERSIONS.join(', ');
    throw new CniError(CNI_CODE.incompatibleVersion, `cniVersion ${JSON.stringify(cniVersion)} is not supported; supported are ${has}`);
  }
  if (typeof network !== 'string' || network === '') throw new CniError(CNI_CODE.invalidConfiguration, 'the network has no name');
  const previous = isRow(prevResult) ? (prevResult as PreviousResult) : undefined;
  if ((command === 'ADD' || command === 'CHECK') && previous === undefined) {
    throw new CniError(
      CNI_CODE.invalidConfiguration,
      'there is no prevResult: sfc-cni makes no interface, it stands in a chain behind a plugin that does',
    );
  }
  return {
    command,
    cniVersion: String(cniVersion),
    network,
    settings: settingsOf(config),
    attachment: command === 'GC' || command === 'STATUS' ? undefined : attachmentOf(environment, command),
    previous,
    valid: Array.isArray(valid) ? (valid as Invocation['valid']) : [],
  };
}
