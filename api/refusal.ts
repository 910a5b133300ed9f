/** Any error as the answer to a request: the catalogue's code, its hint and its HTTP status. */

import { ERRORS, type ErrorCode, SfcError } from '../errors/index.js';
import type { ErrorBody } from './schemas.js';

export interface Refusal {
  readonly status: number;
  readonly body: ErrorBody;
}

export function refusal(code: ErrorCode, message: string): Refusal {
  const { hint, status } = ERRORS[code];
  return { status, body: { code, message, hint } };
}

/** What the HTTP framework blames on the client has a status of 4xx; anything else is a fault of ours. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof SfcError) return refusal(error.code, error.message);
  const { statusCode = 500, message = String(error) } = error as { statusCode?: number; message?: string };
  return refusal(statusCode >= 400 && statusCode < 500 ? 'BAD_REQUEST' : 'INTERNAL', message);
}
