/** Address families, and which of them a testbed speaks where. No imports: the scripts run on their own. */

export type Family = 4 | 6;

/** What pods say of themselves, primary family first, and what clients and server speak. */
interface Spoken {
  readonly podIPs: readonly Family[];
  readonly traffic: readonly Family[];
}

/**
 * The forms of a testbed. `X-in-Y`: pods are known by their addresses of Y alone, so outer headers are of Y,
 * and have addresses of X for the traffic that they forward.
 */
const FORMS = {
  4: { podIPs: [4], traffic: [4] },
  6: { podIPs: [6], traffic: [6] },
  dual: { podIPs: [4, 6], traffic: [4, 6] },
  '6-in-4': { podIPs: [4], traffic: [6] },
  '4-in-6': { podIPs: [6], traffic: [4] },
} as const satisfies Readonly<Record<string, Spoken>>;

export type FamilyForm = `${keyof typeof FORMS}`;
export const FAMILY_FORMS = Object.keys(FORMS) as readonly FamilyForm[];

export interface Families extends Spoken {
  /** Every family that interfaces and routes have: that of `podIPs` first. */
  readonly all: readonly Family[];
}

export function familiesOf(form: FamilyForm): Families {
  const { podIPs, traffic }: Spoken = FORMS[form];
  return { podIPs, traffic, all: [...new Set([...podIPs, ...traffic])] };
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
