/** `sfcd`: the only module of the agent that touches the process. */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { destination, type Logger, pino } from 'pino';
import { stringify } from 'yaml';
import { startApi, startProbes } from '../api/index.js';
import { installCni, removeCni } from '../cni/index.js';
import { keepHalfSeenRules, openRawIp, removeHalfSeenRules } from '../datapath/index.js';
import { SfcError } from '../errors/index.js';
import { Agent } from './agent.js';
import { type LockFile, tryLock } from './allocation/index.js';
import { type CommandLine, parseCommandLine, resolveSettings, type Settings } from './config/index.js';
import { openDatapath, removeEverything } from './datapath/index.js';
import { FILTER_MONITOR, hostDiscovery, runCommand, startMonitor } from './discovery/index.js';
import { exceptions, holdAll, markGuard, openGuard, removeGuardIfAny } from './guard/index.js';
import { installationOf, keepPlugin } from './installation.js';
import { nodeAddress } from './probes/index.js';
import { openSandboxes } from './sandboxes/index.js';
import { openSource } from './sources/index.js';

/** sysexits.h EX_SOFTWARE: an error that no code names. */
const EXIT_UNKNOWN = 70;

/** The directory with package.json, whether this runs compiled or not. */
function projectRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json above the program');
    directory = parent;
  }
  return directory;
}

function readConfigFile(name: string | undefined): { name: string; text: string } | undefined {
  if (name === undefined) return undefined;
  try {
    return { name, text: readFileSync(name, 'utf8') };
  } catch (cause) {
    throw new SfcError('CONFIG_INVALID', `${name}: ${(cause as Error).message}`, { cause });
  }
}

function takeRunDirectory(settings: Settings): LockFile {
  mkdirSync(settings.runDir, { recursive: true });
  const path = join(settings.runDir, 'sfcd.lock');
  const lock = tryLock(path);
  if (typeof lock !== 'number') return lock;
  throw new SfcError('ALREADY_RUNNING', `${path} is held by process ${lock}`);
}

/** Runs until a signal; resolves when everything is closed: kernel programs alone go on, the userspace datapath ends. */
async function run(settings: Settings, version: string, root: string, log: Logger): Promise<void> {
  // First: what is wrong with it shall leave nothing behind.
  const opened = openSource(settings, { version, datapath: () => datapath.kind, environment: process.env, log });
  const guard = openGuard(settings, log);
  const { datapath, chosen } = openDatapath(settings, root, log);
  const ofKind = datapath.kind === 'kernel' ? { adopted: datapath.adopted, pinDir: settings.pinDir } : {};
  log.info({ datapath: datapath.kind, chosen, ...ofKind }, 'datapath open');
  const rawIp = openRawIp();
  const agent = new Agent({
    version,
    node: settings.nodeName,
    pid: process.pid,
    port: settings.port,
    chosen,
    intervalMs: settings.reconcileIntervalMs,
    datapath,
    discovery: hostDiscovery(runCommand, (ms) => wait(ms)),
    guard,
    keepHalfSeen: keepHalfSeenRules,
    conntrack: (args) => runCommand('conntrack', args),
    markGuard: (on) => markGuard(settings.runDir, on),
    guardExcept: exceptions(settings),
    allocations: opened.allocations,
    source: opened.source,
    sandboxes: openSandboxes(settings.runDir, log),
    timeouts: settings.timeouts,
    flowsPerEndpoint: settings.limits.flowsPerEndpoint,
    sourceCheck: settings.sourceCheck,
    sendIp: (packet, destination) => rawIp.send(packet, destination),
    nodeAddress,
    log,
    clock: { wall: () => new Date(), monotonic: () => performance.now(), flows: () => Number(process.hrtime.bigint()) },
  });
  const api = await startApi({ view: agent, socketPath: settings.socket, log });
  const probes = settings.healthAddress === '' ? undefined : await startProbes(agent, settings.healthAddress, log);
  const monitor = startMonitor(
    () => agent.hostChanged(),
    (message, delayMs) => log.warn({ delayMs }, message),
  );
  // Of what others do to filters the kernel tells at once.
  const filters = startMonitor(
    () => agent.filtersChanged(),
    (message, delayMs) => log.warn({ delayMs }, message),
    FILTER_MONITOR,
  );
  opened.start();
  const plugin = keepPlugin(installationOf(settings, root, process.execPath), settings, log);

  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => {
        resolve(name);
        // Whoever asks twice does not want to wait; the kernel moves packets either way.
        for (const second of ['SIGTERM', 'SIGINT'] as const) process.once(second, () => process.exit(1));
      });
    }
  });
  log.info(
    { signal },
    datapath.kind === 'kernel'
      ? 'stopping; what is attached stays and keeps steering'
      : `stopping; nothing is steered any more${settings.guard === 'off' ? '' : ', and the guard holds what was'}`,
  );
  monitor.stop();
  filters.stop();
  await plugin?.close();
  await opened.close();
  await agent.close();
  rawIp.close();
  await probes?.close();
  await api.close();
  datapath.close();
}

function complain(error: unknown, log: Logger | undefined): number {
  const known = error instanceof SfcError;
  const message = error instanceof Error ? error.message : String(error);
  if (log !== undefined) log.fatal({ err: error, ...(known ? { code: error.code, hint: error.hint } : {}) }, message);
  else process.stderr.write(known ? `sfcd: ${error.code}: ${message}\n${error.hint}\n` : `sfcd: ${message}\n`);
  return known ? error.exit : EXIT_UNKNOWN;
}

async function main(): Promise<number> {
  let log: Logger | undefined;
  let lock: LockFile | undefined;
  try {
    const root = projectRoot();
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    const line: CommandLine = parseCommandLine(process.argv.slice(2), process.env, version);
    if (line.print !== undefined) {
      process.stdout.write(line.print);
      return 0;
    }
    const file = readConfigFile(line.configFile);
    // Removing, holding and installing read no manifests, so they do not ask for their directory.
    const readsNone = line.remove || line.hold || line.installCni;
    const flags = readsNone && line.flags.manifests === undefined ? { ...line.flags, manifests: '/' } : line.flags;
    const settings = resolveSettings({ flags, environment: process.env, file, host: { hostname: hostname() } });
    if (line.printConfig) {
      process.stdout.write(stringify(settings));
      return 0;
    }
    // Synchronous: the last words before an exit are the ones that matter.
    const logger = pino(
      { level: settings.logLevel, base: { node: settings.nodeName, pid: process.pid } },
      destination({ dest: 1, sync: true }),
    );
    log = logger;
    process.on('uncaughtException', (error) => {
      const code = complain(error, logger);
      lock?.release();
      process.exit(code);
    });
    const installation = installationOf(settings, root, process.execPath);
    // Beside an agent that runs: it is an init container's work, and the agent's predecessor may not have ended.
    if (line.installCni) {
      logger.info({}, installCni(installation) || 'the CNI plugin was in place');
      return 0;
    }
    lock = takeRunDirectory(settings);
    if (line.hold) {
      await holdAll(settings, runCommand, logger);
      markGuard(settings.runDir, true);
    } else if (line.remove) {
      const files = removeCni(installation);
      if (files.length > 0) logger.info({ files }, 'the CNI plugin is taken out');
      markGuard(settings.runDir, false);
      removeEverything(settings, root, logger);
      removeGuardIfAny();
      removeHalfSeenRules();
    } else await run(settings, version, root, logger);
    return 0;
  } catch (error) {
    return complain(error, log);
  } finally {
    lock?.release();
  }
}

// Explicit: after a failed start, timers and watchers of what did start must not keep the process.
process.exit(await main());
