import { describe, expect, it } from 'vitest';
import { type Story, story } from '../reconciler/cast.js';
import { applyToMirror, emptyObserved, planChanges } from '../reconciler/index.js';
import { missingOf } from './complete.js';

const ROOMY = { sfcselect: 100, sfcports: 100, sfcpath: 100, sfcbackend: 100, endpoint: 100, peer: 100 };
const vpn: Story = {
  paths: { 1: ['10.2.0.20'] },
  endpoints: { 7: 3783, 8: 99 },
  selects: [
    { selector: 'vpn', endpoint: 3783, spi: 1 },
    { selector: 'vpn', endpoint: 3783, spi: 1, port: 8000 },
  ],
  ports: [{ endpoint: 3783, port: 8000, bits: 6, firstPort: 8000, together: ['vpn'] }],
};

describe('of a selected pod', () => {
  it('something is missing until the last step that concerns it', () => {
    const target = story(vpn);
    const observed = emptyObserved();
    const { changes } = planChanges(target, observed, ROOMY);
    const missing = changes.map((change) => {
      applyToMirror(observed, change);
      return missingOf(7, target, observed);
    });
    const whole = missing.indexOf('');
    expect(changes[whole]?.id).toBe('endpoint-after:7');
    expect(new Set(missing.slice(0, whole))).toEqual(
      new Set(['its endpoint entry is not in the maps', 'its selection is not written yet']),
    );
    expect(missing.at(-1)).toBe('');
  });

  it('a selector that was refused is named, and another pod does not wait for it', () => {
    const target = story(vpn);
    const observed = emptyObserved();
    for (const change of planChanges(target, observed, { ...ROOMY, sfcselect: 1 }).changes) applyToMirror(observed, change);
    expect(missingOf(7, target, observed)).toBe('selector vpn is not in the maps');
    expect(missingOf(8, target, observed)).toBe('');
  });
});
