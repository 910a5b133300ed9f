/** `sfc-controller`: the only module of the controller that touches the process. */

import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { destination, type Logger, pino } from 'pino';
import { stringify } from 'yaml';
import { SfcError } from '../errors/index.js';
import { clusterConfig, KubernetesClient } from '../kubernetes/index.js';
import { parseCommandLine, resolveSettings, type Settings } from './config/index.js';
import { startHttp } from './http.js';
import { Life } from './lead.js';
import { makeMetrics } from './metrics.js';

/** sysexits.h EX_SOFTWARE: an error that no code names. */
const EXIT_UNKNOWN = 70;

/** The version in package.json, whether this runs compiled or not. */
function readVersion(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json above the program');
    directory = parent;
  }
  return (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }).version;
}

function readConfigFile(name: string | undefined): { name: string; text: string } | undefined {
  if (name === undefined) return undefined;
  try {
    return { name, text: readFileSync(name, 'utf8') };
  } catch (cause) {
    throw new SfcError('CONFIG_INVALID', `${name}: ${(cause as Error).message}`, { cause });
  }
}

async function run(settings: Settings, version: string, log: Logger): Promise<void> {
  const client = new KubernetesClient(clusterConfig(settings.kubeconfig, process.env), `sfc-controller/${version}`);
  const life = new Life({
    client,
    settings,
    // A name that comes back, as of a pod of a StatefulSet or of a process on a host, must not inherit a lease.
    identity: `${settings.identity}_${crypto.randomUUID()}`,
    log,
    clock: { wall: () => new Date(), monotonic: () => performance.now() },
    random: Math.random,
  });
  const metrics = makeMetrics(() => life.controller);
  life.metrics = metrics;
  const http = await startHttp({
    address: settings.httpAddress,
    health: () => life.health(),
    readiness: () => life.readiness(),
    metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
  });
  log.info({ version, port: http.port, server: client.server }, 'started');
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info({ signal: name }, 'stopping');
      life.stop();
      // Whoever asks twice does not want to wait.
      for (const second of ['SIGTERM', 'SIGINT'] as const) process.once(second, () => process.exit(1));
    });
  }
  await life.run();
  await http.close();
  client.close();
}

function complain(error: unknown, log: Logger | undefined): number {
  const known = error instanceof SfcError;
  const message = error instanceof Error ? error.message : String(error);
  if (log !== undefined) log.fatal({ err: error, ...(known ? { code: error.code, hint: error.hint } : {}) }, message);
  else process.stderr.write(known ? `sfc-controller: ${error.code}: ${message}\n${error.hint}\n` : `sfc-controller: ${message}\n`);
  return known ? error.exit : EXIT_UNKNOWN;
}

async function main(): Promise<number> {
  let log: Logger | undefined;
  try {
    const version = readVersion();
    const line = parseCommandLine(process.argv.slice(2), process.env, version);
    if (line.print !== undefined) {
      process.stdout.write(line.print);
      return 0;
    }
    const file = readConfigFile(line.configFile);
    const settings = resolveSettings({ flags: line.flags, environment: process.env, file, host: { hostname: hostname() } });
    if (line.printConfig) {
      process.stdout.write(stringify(settings));
      return 0;
    }
    // Synchronous: the last words before an exit are the ones that matter.
    const logger = pino({ level: settings.logLevel, base: { pid: process.pid } }, destination({ dest: 1, sync: true }));
    log = logger;
    process.on('uncaughtException', (error) => process.exit(complain(error, logger)));
    await run(settings, version, logger);
    return 0;
  } catch (error) {
    return complain(error, log);
  }
}

// Explicit: after the lease is lost nothing of what runs may go on.
process.exit(await main());
