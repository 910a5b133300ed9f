/**
 * Asks instances whether they pass packets on, and tells who does not. The answers are written down by the
 * datapath in `sfcprobe`: an agent that was busy or asleep finds them there, and takes nobody for dead.
 */

import { randomInt } from 'node:crypto';
import { formatMapAddress, type SfcprobeKey, type SfcprobeValue, type TypedMap } from '../../maps/index.js';
import type { Address, Probe } from '../../policy/index.js';
import { type Log, Standing } from '../log.js';
import { type Aim, aimKey } from './aims.js';
import { ask, dueAt, isAnsweredBy, type Judgement, judge, unjudged } from './judge.js';
import { probePacket } from './packet.js';

/** What is due within this time is done together (ms): one look into the map for all of it. */
const GRAIN_MS = 20;
/** After a look into the map that failed (ms). */
const RETRY_MS = 1000;
/** The way to the instance's node is gone, and with it that of all other packets: as good as no answer. */
const UNREACHABLE: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EHOSTDOWN'];

export interface ProberOptions {
  readonly answers: TypedMap<SfcprobeKey, SfcprobeValue>;
  /** Sends an IP packet; the name of an errno where it could not, else empty. */
  readonly send: (packet: Uint8Array, destination: Address) => string;
  /** An address of this node of the other one's family. */
  readonly nodeAddress: (family: Address['family']) => Address | undefined;
  /** UDP port of steering. */
  readonly steeringPort: number;
  readonly clock: { readonly wall: () => Date; readonly monotonic: () => number };
  readonly log: Log;
  /** Some instance fails now that did not, or the other way round. */
  readonly onChange: () => void;
}

/** What is known of an instance that is asked. */
export interface Probed {
  readonly aim: Aim;
  readonly fails: boolean;
  readonly judged: boolean;
  /** When it came to be so, ISO 8601. */
  readonly since: string;
  /** Why it could not be asked last, or empty. */
  readonly trouble: string;
}

export interface ProbeCounts {
  /** Since the agent's start. */
  readonly sent: number;
  readonly unanswered: number;
}

interface Entry {
  readonly aim: Aim;
  judgement: Judgement;
  since: string;
  trouble: string;
  /** Of the pod that it is asked from next. */
  turn: number;
}

/** Of an answer, whichever way it was asked for. */
const answerKey = (text: string, port: number) => `${text} ${port}`;
const keyOf = ({ address, probe: { port } }: Aim): SfcprobeKey => ({ address: address.bytes, family: address.family, port });

export class Prober {
  readonly #options: ProberOptions;
  readonly #troubles = new Standing();
  readonly #counts = { sent: 0, unanswered: 0 };
  #entries = new Map<string, Entry>();
  /** What the map has an entry for: whoever is not among them could not answer. */
  #entered = new Set<string>();
  #nodes = new Map<Address['family'], Address>();
  /** Given last. Random at first: numbers of an agent before this one say nothing. */
  #sequence = randomInt(2 ** 32);
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Forgets what was written down for an agent before this one. @throws SfcError MAP_IO */
  constructor(options: ProberOptions) {
    this.#options = options;
    options.answers.deleteMany([...options.answers.entries()].map(([key]) => key));
  }

  get counts(): ProbeCounts {
    return { ...this.#counts };
  }

  /** Every instance that is asked, by `aimKey`. */
  probed(): ReadonlyMap<string, Probed> {
    return new Map(
      [...this.#entries].map(
        ([
          key,
          {
            aim,
            judgement: { fails, judged },
            since,
            trouble,
          },
        ]) => [key, { aim, fails, judged, since, trouble }],
      ),
    );
  }

  /** Does the instance fail, asked in this way? One that is not asked does not. */
  fails(address: Address, probe: Probe): boolean {
    return this.#entries.get(aimKey(address, probe))?.judgement.fails === true;
  }

  /** From now on these are asked, and no others. Who was asked before stays what it is, also when it is asked in another way. */
  aim(aims: readonly Aim[]): void {
    if (this.#closed) return;
    const { clock } = this.#options;
    const before = [...this.#entries.values()];
    if (aims.length === 0 && before.length === 0) return;
    const entries = new Map<string, Entry>();
    const fresh = aims.filter(({ key }) => !this.#entries.has(key));
    const now = clock.monotonic();
    for (const aim of aims) {
      const known = this.#entries.get(aim.key);
      if (known !== undefined) {
        entries.set(aim.key, { ...known, aim });
        continue;
      }
      const relative = before.find(({ aim: { address, probe } }) => address.text === aim.address.text && probe.port === aim.probe.port);
      // Spread over the period, so that they do not leave all at once.
      const begin = unjudged(now + (aim.probe.periodMs * fresh.indexOf(aim)) / fresh.length);
      const judgement = relative === undefined ? begin : { ...begin, fails: relative.judgement.fails, judged: relative.judgement.judged };
      entries.set(aim.key, { aim, judgement, since: relative?.since ?? clock.wall().toISOString(), trouble: '', turn: 0 });
    }
    this.#entries = entries;
    this.#enter(aims);
    this.#nodes = new Map(
      [...new Set(aims.map(({ address }) => address.family))].flatMap((family) => {
        const address = this.#options.nodeAddress(family);
        return address === undefined ? [] : [[family, address] as const];
      }),
    );
    this.#schedule();
  }

  /** Brings the map in line with who is asked. What it has no room for is told, and not asked. */
  #enter(aims: readonly Aim[]): void {
    const { answers } = this.#options;
    const wanted = new Map(aims.map((aim) => [answerKey(aim.address.text, aim.probe.port), keyOf(aim)]));
    if (wanted.size === this.#entered.size && [...wanted.keys()].every((text) => this.#entered.has(text))) return;
    this.#lookAfter(() => {
      const gone: SfcprobeKey[] = [];
      this.#entered = new Set();
      for (const [key] of answers.entries()) {
        const text = answerKey(formatMapAddress(key.address, key.family), key.port);
        if (wanted.has(text)) this.#entered.add(text);
        else gone.push(key);
      }
      answers.deleteMany(gone);
      for (const [text, key] of wanted) {
        if (this.#entered.has(text)) continue;
        answers.set(key, { answered: 0, sequence: 0 });
        this.#entered.add(text);
      }
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Does something with the map; a failure is told, and false. */
  #lookAfter(act: () => void): boolean {
    try {
      act();
      this.#troubles.tell([], () => undefined);
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#troubles.tell([message], () => this.#options.log.error({ err: error }, 'probes: the map could not be used; it is tried again'));
      return false;
    }
  }

  #schedule(afterMs = 0): void {
    clearTimeout(this.#timer);
    if (this.#closed || this.#entries.size === 0) return;
    const now = this.#options.clock.monotonic();
    const next = Math.min(...[...this.#entries.values()].map(({ aim, judgement }) => dueAt(judgement, aim.probe)));
    this.#timer = setTimeout(() => this.#tick(), Math.max(afterMs, GRAIN_MS, next - now));
  }

  #tick(): void {
    const now = this.#options.clock.monotonic();
    const due = [...this.#entries.values()].filter(({ aim, judgement }) => dueAt(judgement, aim.probe) <= now + GRAIN_MS);
    const recorded = new Map<string, number>();
    const looked = this.#lookAfter(() => {
      if (!due.some(({ judgement: { asked } }) => asked !== undefined)) return;
      for (const [{ address, family, port }, { sequence, answered }] of this.#options.answers.entries())
        if (answered !== 0) recorded.set(answerKey(formatMapAddress(address, family), port), sequence);
    });
    // Nobody is judged by what could not be looked up.
    if (!looked) {
      this.#schedule(RETRY_MS);
      return;
    }
    const last = this.#sequence;
    let changed = false;
    for (const entry of due) {
      const { asked } = entry.judgement;
      if (asked !== undefined) {
        const number = recorded.get(answerKey(entry.aim.address.text, entry.aim.probe.port));
        changed = this.#judge(entry, number !== undefined && isAnsweredBy(number, asked.sequence, last)) || changed;
      }
      if (entry.judgement.nextAt <= now + GRAIN_MS) this.#ask(entry, now);
    }
    this.#schedule();
    if (changed) this.#options.onChange();
  }

  /** True when the verdict has turned. */
  #judge(entry: Entry, isAnswered: boolean): boolean {
    const { aim, judgement: before } = entry;
    const { log, clock } = this.#options;
    entry.judgement = judge(before, aim.probe, isAnswered);
    if (!isAnswered) this.#counts.unanswered += 1;
    const { fails, judged } = entry.judgement;
    if (fails === before.fails && judged === before.judged) return false;
    entry.since = clock.wall().toISOString();
    if (fails === before.fails) return false;
    const facts = { pod: aim.pod, address: aim.address.text, port: aim.probe.port };
    if (fails)
      log.warn({ ...facts, trouble: entry.trouble }, `${aim.pod} fails probes and takes no more packets from here: ${failure(entry)}`);
    else log.info(facts, `${aim.pod} passes probes again`);
    return true;
  }

  /** Why no answer could come, whatever the instance does; empty where one could. */
  #impossible({ address, probe }: Aim): string {
    const { steeringPort, answers } = this.#options;
    if (probe.port === steeringPort) return `port ${steeringPort} is the steering port, to which no pod may send`;
    if (!this.#entered.has(answerKey(address.text, probe.port))) return `it is not in sfcprobe (capacity ${answers.raw.capacity})`;
    return '';
  }

  #ask(entry: Entry, now: number): void {
    const { aim } = entry;
    const { send, steeringPort, log } = this.#options;
    const { address: instance, probe, from } = aim;
    const later = { ...entry.judgement, nextAt: now + probe.periodMs };
    const impossible = this.#impossible(aim);
    if (impossible !== '') {
      if (impossible !== entry.trouble) log.warn({ pod: aim.pod }, `${aim.pod} cannot be probed: ${impossible}`);
      entry.trouble = impossible;
      entry.judgement = later;
      return;
    }
    const pod = from[entry.turn++ % from.length] as Address;
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const node = this.#nodes.get(instance.family) ?? pod;
    const trouble = send(probePacket({ instance, pod, node, port: probe.port, sequence, steeringPort }), instance);
    if (trouble !== '' && trouble !== entry.trouble) log.warn({ pod: aim.pod, errno: trouble }, `${aim.pod} cannot be probed: ${trouble}`);
    entry.trouble = trouble;
    const isSent = trouble === '' || UNREACHABLE.includes(trouble);
    if (isSent) this.#counts.sent += 1;
    // Who could not be asked is not judged: that the node refuses its own packets says nothing about the instance.
    entry.judgement = isSent ? ask(entry.judgement, probe, sequence, now) : later;
  }
}

/** Why an instance fails, in words. */
export function failure({ aim, trouble }: Pick<Probed, 'aim' | 'trouble'>): string {
  const { failureThreshold, port } = aim.probe;
  const silence = `${failureThreshold} probes in a row to UDP port ${port} did not come back`;
  return trouble === '' ? silence : `${silence} (${trouble})`;
}
