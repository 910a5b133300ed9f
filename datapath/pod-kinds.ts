/** What the host side of a pod's interface is. */

/** Kinds as the kernel names them (IFLA_INFO_KIND): those that interfaces of pods are looked for among, and that the guard holds. */
export const POD_KINDS = ['veth'] as const;

export function isPodKind(kind: string): boolean {
  return (POD_KINDS as readonly string[]).includes(kind);
}
