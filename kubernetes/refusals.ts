/** What the API server refuses, as errors of the catalogue. Pure. */

import { type ErrorCode, SfcError } from '../errors/index.js';
import type { StatusObject } from './objects.js';
import { apiVersionOf, type Place, type Resource } from './resources.js';

export interface Attempt {
  /** As RBAC names it: `list`. */
  readonly verb: string;
  readonly resource: Resource;
  readonly place: Place;
}

/** The rule of a Role or ClusterRole that allows it. */
export function ruleFor({ verb, resource, place }: Attempt): string {
  const plural = place.subresource === undefined ? resource.plural : `${resource.plural}/${place.subresource}`;
  return JSON.stringify({ apiGroups: [resource.group], resources: [plural], verbs: [verb] });
}

/** `list networking.gke.io/v1 trafficselectors`, `get v1 pods vpn/vpn`. */
export function describeAttempt({ verb, resource, place: { namespace, name, subresource } }: Attempt): string {
  const object = [namespace, name].filter((part) => part !== undefined).join('/');
  const plural = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
  return [verb, apiVersionOf(resource), plural, object].filter((part) => part !== '').join(' ');
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'KUBERNETES_UNAUTHORIZED',
  403: 'KUBERNETES_FORBIDDEN',
  404: 'KUBERNETES_NOT_FOUND',
  409: 'KUBERNETES_CONFLICT',
  410: 'KUBERNETES_EXPIRED',
};

/** 429 and what the server says of itself (500 and above) passes; other refusals are of what was asked. */
function codeOf(status: number): ErrorCode {
  return CODES[status] ?? (status >= 500 || status === 429 ? 'KUBERNETES_UNREACHABLE' : 'KUBERNETES_REFUSED');
}

/** An error that says how long the server wants to be left alone. */
export class RefusedError extends SfcError {
  /** Milliseconds; 0: it said nothing. */
  readonly retryAfterMs: number;
  /** HTTP status. */
  readonly answered: number;

  constructor(code: ErrorCode, message: string, answered: number, retryAfterMs: number) {
    super(code, message);
    this.answered = answered;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * @param status HTTP status, or the code of a Status object in a watch
 * @param answer body, where it is a Status
 * @param retryAfter header Retry-After, seconds
 */
export function refusal(attempt: Attempt, status: number, answer?: Partial<StatusObject>, retryAfter?: string): RefusedError {
  const words = answer?.message ?? `HTTP status ${status}`;
  // The API server's own words on 403 name the user and what it tried; the rule says what to add.
  const rule = status === 403 ? `; the rule that allows it: ${ruleFor(attempt)}` : '';
  const seconds = answer?.details?.retryAfterSeconds ?? Number(retryAfter ?? 0);
  return new RefusedError(
    codeOf(status),
    `${describeAttempt(attempt)}: ${words}${rule}`,
    status,
    Number.isFinite(seconds) ? seconds * 1000 : 0,
  );
}
