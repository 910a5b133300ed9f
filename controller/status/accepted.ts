/** The condition Accepted: what validation says of the manifest, the same that `sfc validate` says. Pure. */

import type { ReadResource } from '../../policy/index.js';
import { type Finding, few } from './conditions.js';

type Fault = ReadResource['faults'][number];

function text({ path, message }: Pick<Fault, 'path' | 'message'>): string {
  const where = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return where === '' ? message : `${where.slice(1)}: ${message}`;
}

export function accepted(faults: readonly Fault[]): Finding {
  const told = (severity: Fault['severity']) => faults.filter((fault) => fault.severity === severity).map(text);
  const errors = told('error');
  if (errors.length > 0) {
    const message = `${few(errors)}; nodes keep to what was good before, if they have it`;
    return { type: 'Accepted', status: 'False', reason: 'Invalid', message };
  }
  const warnings = told('warning');
  if (warnings.length > 0) return { type: 'Accepted', status: 'True', reason: 'AcceptedWithWarnings', message: few(warnings) };
  return { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'valid' };
}
