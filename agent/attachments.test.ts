import { describe, expect, it } from 'vitest';
import type { TroubledInterface } from '../datapath/index.js';
import { Attachments } from './attachments.js';
import type { TrackedEndpoint } from './endpoints.js';

const POD: TrackedEndpoint = { pod: 'vpn/vpn', addresses: ['10.1.0.10'], id: 1, ifindex: 7, ifname: 'veth-vpn', mtu: 1500, problem: '' };
const TAKEN: TroubledInterface = { ifindex: 7, ifname: 'veth-vpn', why: 'somebody has taken from_pod away' };
const IN_MAPS = new Map([[7, {}]]);

/** Programs that somebody takes away, or not, and whether they can be put back. */
function scene(restores = true) {
  const steps: string[] = [];
  const logged: string[] = [];
  const log = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [level, (_: object, message: string) => logged.push(`${level}: ${message}`)]),
  ) as unknown as ConstructorParameters<typeof Attachments>[1];
  const state = { troubled: [] as TroubledInterface[] };
  const attachments = new Attachments(
    {
      attach: (ifindex, ifname) => {
        steps.push('attach');
        return { ifindex, ifname, method: 'tcx' };
      },
      detach: () => void steps.push('detach'),
      troubled: () => state.troubled,
      restore: () => {
        if (!restores) throw new Error('EPERM');
        steps.push('restore');
      },
    },
    log,
  );
  attachments.update([POD], IN_MAPS);
  return { attachments, steps, logged, state, hold: (ifindexes: readonly number[]) => void steps.push(`hold ${ifindexes.join()}`) };
}

describe('programs that others take away', () => {
  it('are put back while their interface is held, counted and told of', () => {
    const { attachments, steps, logged, state, hold } = scene();
    expect(attachments.restore(0, hold)).toBe(0);
    state.troubled = [TAKEN];
    expect(attachments.restore(0, hold)).toBe(1);
    expect(steps).toEqual(['attach', 'hold 7', 'restore']);
    expect(attachments.restored).toBe(1);
    expect(logged.at(-1)).toBe('warn: somebody has taken from_pod away; it is as it was again');
  });

  it('that cannot be put back are attached anew, and their interface stays held', () => {
    const { attachments, steps, logged, state, hold } = scene(false);
    state.troubled = [TAKEN];
    attachments.restore(0, hold);
    expect(attachments.has(7)).toBe(false);
    attachments.update([POD], IN_MAPS);
    expect(steps).toEqual(['attach', 'hold 7', 'detach', 'attach']);
    expect(attachments.restored).toBe(0);
    expect(logged.some((line) => line.startsWith('error: somebody has taken from_pod away, and'))).toBe(true);
  });

  it('again and again stay away for a while: the interface is held, and one line says why', () => {
    const { attachments, steps, logged, state, hold } = scene();
    state.troubled = [TAKEN];
    for (let second = 0; second < 10; second++) attachments.restore(second * 1000, hold);
    expect(steps.filter((step) => step === 'restore')).toHaveLength(5);
    expect(attachments.update([POD], IN_MAPS).get(7)).toMatch(/again and again; its packets are held/);
    expect(logged.filter((line) => line.includes('again and again'))).toHaveLength(1);
    attachments.restore(61_000, hold);
    expect(attachments.restored).toBe(6);
    state.troubled = [];
    attachments.restore(62_000, hold);
    expect(attachments.update([POD], IN_MAPS)).toEqual(new Map());
  });
});
