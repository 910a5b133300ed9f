/**
 * `make demo`: the walkthrough on one machine. Exit status: 0 when everything holds, 1 when it does
 * not, 69 when this machine cannot run it, 128 + signal when it was interrupted.
 */

import { parseArgs } from 'node:util';
import { SfcError } from '../errors/index.js';
import { type Cluster, startCluster } from './cluster.js';
import { drawingOf, ROUTE } from './drawing.js';
import type { RecordOptions } from './record.js';
import { keptHelp, palette, showText, stepText, verdictText } from './report.js';
import { missingRequirements, thisMachine } from './requirements.js';
import { expectedOf, runShow, SHOWS, type Show } from './shows.js';
import { endInside, isInside, lookAround, makeOwnRun, namespacesToMake, runInside, whyNoNamespaces } from './standing.js';
import { buildTestbed, cleanLeftovers, FAMILY_FORMS, type FamilyForm, walkthroughCast } from './testbed/index.js';
import { runWalkthrough, type ShownStep } from './walkthrough.js';

const UNAVAILABLE = 69;
const USAGE = 64;

const paint = palette(process.stdout.isTTY === true && process.env.NO_COLOR === undefined);
const say = (text = ''): boolean => process.stdout.write(`${text}\n`);
const complain = (text: string): boolean => process.stderr.write(`${text}\n`);
const phase = (title: string): boolean => say(`${paint.dim('•')} ${title}`);

const { values } = parseArgs({
  options: {
    clean: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: ['1', 'yes', 'true'].includes(process.env.KEEP ?? '') },
    /** Of the namespaces and of the directory below /run: two demos with two prefixes do not meet. */
    prefix: { type: 'string', default: 'sfc-demo' },
    datapath: { type: 'string', default: process.env.DATAPATH || 'auto' },
    family: { type: 'string', default: process.env.FAMILY || '4' },
    demo: { type: 'string', default: process.env.DEMO || 'walkthrough' },
    requests: { type: 'string', default: process.env.DEMO_REQUESTS || '40' },
  },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const requests = Number(values.requests);
  if (!Number.isInteger(requests) || requests < 1 || requests > 10_000) {
    complain(`demo: DEMO_REQUESTS (--requests) is a number from 1 to 10000, not ${values.requests}`);
    return USAGE;
  }
  if (!/^[a-z][a-z0-9-]{1,39}$/.test(values.prefix)) {
    complain('demo: --prefix takes lower-case letters, digits and dashes, 2 to 40');
    return USAGE;
  }
  const { datapath } = values;
  if (datapath !== 'auto' && datapath !== 'kernel' && datapath !== 'userspace') {
    complain(`demo: DATAPATH (--datapath) is auto, kernel or userspace, not ${datapath}`);
    return USAGE;
  }
  const shows = ['walkthrough', ...Object.keys(SHOWS)];
  if (!shows.includes(values.demo)) {
    complain(`demo: DEMO (--demo) is ${shows.join(', ')}, not ${values.demo}`);
    return USAGE;
  }
  if (!FAMILY_FORMS.some((form) => form === values.family)) {
    complain(`demo: FAMILY (--family) is ${FAMILY_FORMS.join(', ')}, not ${values.family}`);
    return USAGE;
  }
  const machine = thisMachine();
  const missing = missingRequirements(machine, datapath, values.family !== '4');
  if (missing.length > 0) {
    complain(`demo: cannot run here: ${missing.join('; ')}`);
    return UNAVAILABLE;
  }
  const flags = namespacesToMake(machine, isInside());
  if (values.clean && flags.length > 0) {
    say(`demo: ended ${endInside(values.prefix)} processes; the namespaces of a demo without root go with them`);
    return 0;
  }
  if (flags.length > 0) {
    const refusal = whyNoNamespaces(flags);
    if (refusal !== undefined) {
      complain(`demo: cannot run here without root: ${refusal}`);
      return UNAVAILABLE;
    }
    say(
      machine.uid === 0
        ? 'In a user namespace: this is the unprivileged demo, on the userspace datapath.'
        : 'You are not root: this is the unprivileged demo, on the userspace datapath, in a user namespace of its own.',
    );
    return runInside(flags, values.prefix);
  }
  if (isInside()) await makeOwnRun();
  if (values.clean) {
    const { namespaces, processes } = await cleanLeftovers(values.prefix);
    say(`demo: removed ${namespaces.length} namespaces, ended ${processes.length} processes`);
    return 0;
  }
  const interruption = new AbortController();
  let interrupted: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals): void => {
    if (interrupted !== undefined) return;
    interrupted = signal;
    complain(`demo: ${signal}, cleaning up`);
    interruption.abort();
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt).on('SIGHUP', interrupt);

  const demo = demonstrate(requests, interruption.signal);
  try {
    // An interruption does not wait for requests in flight: what serves them is taken away.
    await Promise.race([demo, aborted(interruption.signal)]);
    const holds = await demo;
    // The namespaces of a demo without root go with this process: kept means that it stays.
    if (values.keep && isInside()) await lookAround(interruption.signal);
    if (!values.keep || isInside()) await cleanLeftovers(values.prefix);
    return holds ? 0 : 1;
  } catch (error) {
    await cleanLeftovers(values.prefix).catch(() => undefined);
    await demo.catch(() => undefined);
    // Once more: what was being made while the first sweep went through.
    await cleanLeftovers(values.prefix);
    if (interrupted !== undefined) return interrupted === 'SIGINT' ? 130 : interrupted === 'SIGTERM' ? 143 : 129;
    complain(`demo: ${(error as Error).message}`);
    if (!(error instanceof SfcError)) throw error;
    complain(error.hint);
    return error.exit;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** The whole show. True when everything holds. */
async function demonstrate(requests: number, signal: AbortSignal): Promise<boolean> {
  const show = values.demo === 'walkthrough' ? undefined : SHOWS[values.demo as keyof typeof SHOWS];
  const family = values.family as FamilyForm;
  const bed = show?.bed(values.prefix, family) ?? walkthroughCast({ prefix: values.prefix, family });
  if (show !== undefined) say(` ${paint.bold(show.title)}\n`);
  say(drawingOf(bed));
  say();
  say(` ${show?.route ?? ROUTE}`);
  say();
  const testbed = await buildTestbed(bed, { signal, onStage: (title) => phase(`building ${title}`) });
  phase('starting sfcd on every node');
  const cluster: Cluster = await startCluster(testbed, {
    flags: ['--datapath', values.datapath],
    ...(show === undefined ? {} : { policy: show.policy(bed), expected: expectedOf(show, bed) }),
  });
  await cluster.ready({ signal });
  const options = { requests, signal, onPhase: phase };
  const told = show === undefined ? await tellWalkthrough(cluster, options) : await tellShow(show, cluster, options);
  for (const step of told.steps) say(stepText(step, paint));
  say(told.verdict);
  if (values.keep) {
    if (!isInside()) cluster.release();
    say(keptHelp(cluster, isInside()));
  } else phase('cleaning up');
  return told.holds;
}

interface Told {
  readonly steps: readonly ShownStep[];
  readonly verdict: string;
  readonly holds: boolean;
}

async function tellWalkthrough(cluster: Cluster, options: RecordOptions): Promise<Told> {
  const result = await runWalkthrough(cluster, options);
  return { steps: result.steps, verdict: verdictText(result, paint), holds: result.faults.length === 0 };
}

async function tellShow(show: Show, cluster: Cluster, options: RecordOptions): Promise<Told> {
  const result = await runShow(show, cluster, options);
  return { steps: result.steps, verdict: showText(show, result, paint), holds: result.faults.length === 0 };
}
