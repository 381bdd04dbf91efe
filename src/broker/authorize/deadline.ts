import { Denied } from './denial.ts'

/**
 * The engine gives up on a question without a word to whom it asked: it has to be over before that,
 * or a decision would be recorded, and a turn held, for a request that never goes.
 */
export const MARGIN_MS = 5_000

export function late(): Denied {
  return new Denied({
    code: 'operation_denied',
    detail: 'the broker did not decide in time',
    next: 'try again; other requests to the same project may be in the way',
  })
}
