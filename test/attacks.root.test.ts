/**
 * Attacks with real packets, made by hand and sent from where the attacker sits, on both datapaths and in both families, while
 * clients go on with what they do. docs/trust.md says what is believed and why.
 */

import { describe } from 'vitest';
import type { FamilyForm } from '../demo/testbed/index.js';
import { flowAttacks } from './attacks/flows.records.js';
import { type Datapath, Scene } from './attacks/scene.js';
import { tunnelAttacks } from './attacks/tunnel.records.js';

const SCENES: readonly (readonly [FamilyForm, Datapath])[] = [
  ['4', 'kernel'],
  ['6', 'kernel'],
  ['4', 'userspace'],
  ['6', 'userspace'],
];

describe.each(SCENES)('form %s, %s datapath:', (family, datapath) => {
  const scene = Scene.before({ family, datapath });
  describe('a forged steering packet', () => tunnelAttacks(scene));
  describe('what a node remembers', () => flowAttacks(scene));
});
