import type { Classified, Verdict } from '../../../core/guard.ts'
import { Refused } from './refused.ts'

/** Runs a judgement. What it throws is a refusal too: a request that cannot be judged does not go. */
export function decided(judge: () => Classified): Verdict {
  try {
    return judge()
  } catch (error) {
    if (error instanceof Refused) return error.refusal
    return {
      outcome: 'refused',
      code: 'request_malformed',
      message: 'the request cannot be judged',
      operation: null,
      risk: null,
    }
  }
}
