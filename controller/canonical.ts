/** Values as JSON with sorted keys: equal where the values are, whoever wrote them. */

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}

export function canonical(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? '';
}

export function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}
