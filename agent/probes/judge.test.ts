import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ask, dueAt, isAnsweredBy, type Judgement, judge, unjudged, waitMs } from './judge.js';

const probe = { periodMs: 1000, failureThreshold: 3, successThreshold: 2, port: 7082 };

/** One letter a probe: `+` answered, `-` not. Gives a letter a verdict: `o` out, `i` in. */
function verdicts(results: string, settings = probe, from: Judgement = unjudged(0)): string {
  let judgement = from;
  let said = '';
  for (const [at, result] of [...results].entries()) {
    judgement = judge(ask(judgement, settings, at, at * settings.periodMs), settings, result === '+');
    said += judgement.fails ? 'o' : 'i';
  }
  return said;
}

describe('an instance', () => {
  it.each([
    ['passes packets on as long as it answers', '+++++', 'iiiii'],
    ['is in before it has answered at all', '--', 'ii'],
    ['is out after so many unanswered probes in a row', '+---', 'iiio'],
    ['stays in where one of them is answered', '--+--+--', 'iiiiiiii'],
    ['stays out while none is answered', '------', 'iioooo'],
    ['is in again after so many answered ones in a row', '---++', 'iiooi'],
    ['stays out where one of them is not', '---+-+-+', 'iioooooo'],
    ['is out anew only after as many as before', '---++--+---', 'iiooiiiiiio'],
  ])('%s', (_, results, expected) => {
    expect(verdicts(results)).toBe(expected);
  });

  it('turns with each probe where the thresholds say so', () => {
    expect(verdicts('-+-+', { ...probe, failureThreshold: 1, successThreshold: 1 })).toBe('oioi');
  });

  it('is out exactly when the last results say so', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('+', '-'), maxLength: 60 }), (results) => {
        // The oracle looks for the last run that is long enough to turn a verdict.
        const failed = results.lastIndexOf('---');
        const passed = results.lastIndexOf('++');
        const expected = results === '' ? '' : failed > passed ? 'o' : 'i';
        expect(verdicts(results).slice(-1)).toBe(expected);
      }),
    );
  });

  it('is judged once it has been asked', () => {
    expect(unjudged(5)).toEqual({ fails: false, judged: false, against: 0, asked: undefined, nextAt: 5 });
    expect(judge(ask(unjudged(5), probe, 1, 7), probe, true)).toMatchObject({ judged: true, asked: undefined, nextAt: 1007 });
  });
});

describe('time', () => {
  it('an answer is waited for for half a second, or a period where that is shorter', () => {
    expect([waitMs(probe), waitMs({ ...probe, periodMs: 200 })]).toEqual([500, 200]);
  });

  it('what is next is the end of the wait, and then the next probe, a period after the last', () => {
    const asked = ask(unjudged(100), probe, 1, 130);
    expect([dueAt(unjudged(100), probe), dueAt(asked, probe), dueAt(judge(asked, probe, false), probe)]).toEqual([100, 630, 1130]);
  });
});

describe('a probe is answered', () => {
  it.each([
    ['by its own number', 7, 7, 9, true],
    ['by one that was asked later', 9, 7, 9, true],
    ['not by one before it', 6, 7, 9, false],
    ['not by one that was not asked yet, which another agent has left', 10, 7, 9, false],
    ['over the end of 32 bits', 1, 0xffff_ffff, 2, true],
    ['not by the one before, over the end', 0xffff_ffff, 0, 2, false],
  ])('%s', (_, recorded, asked, last, expected) => {
    expect(isAnsweredBy(recorded, asked, last)).toBe(expected);
  });
});
