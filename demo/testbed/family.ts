/** Address families, and which of them a testbed speaks where. No imports: the scripts run on their own. */

export type Family = 4 | 6;

export interface Families {
  /** Of pods and nodes, primary first: outer headers are of that one. */
  readonly pods: readonly Family[];
  /** Of clients and server; pods have them too. */
  readonly traffic: readonly Family[];
}

/** The forms of a testbed. `X-in-Y`: traffic of one family between pods whose primary address is of the other. */
const FORMS = {
  4: { pods: [4], traffic: [4] },
  6: { pods: [6], traffic: [6] },
  dual: { pods: [4, 6], traffic: [4, 6] },
  '6-in-4': { pods: [4, 6], traffic: [6] },
  '4-in-6': { pods: [6, 4], traffic: [4] },
} as const satisfies Readonly<Record<string, Families>>;

export type FamilyForm = `${keyof typeof FORMS}`;
export const FAMILY_FORMS = Object.keys(FORMS) as readonly FamilyForm[];

export function familiesOf(form: FamilyForm): Families {
  return FORMS[form];
}

/** The family of an address or a prefix in text. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4;
}

/** The first of these that is of a family. Throws `RangeError` when none is: a mistake of the caller. */
export function inFamily<T extends { readonly family: Family }>(list: readonly T[], family: Family): T {
  const found = list.find((one) => one.family === family);
  if (found === undefined) throw new RangeError(`nothing here speaks IPv${family}`);
  return found;
}

/** Every address of a family, as a prefix; the bits of one; and of a testbed's subnets. */
export const TERMS = {
  4: { any: '0.0.0.0/0', bits: 32, subnetBits: 24 },
  6: { any: '::/0', bits: 128, subnetBits: 64 },
} as const;
