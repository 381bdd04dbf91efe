import { BrokerError, isBrokerError } from '../errors.ts'
import type { Shortfall } from '../launch/isolate/reach.ts'
import type { Walls } from './walls.ts'

/** Says why `auto` did not end at `confine`: nobody reads a level they did not ask for. */
export function shortfallLines({ level, shortfall }: Walls): readonly string[] {
  if (shortfall === undefined) return []
  return [`isolation ${level} and not confine: ${shortfall.reason} (${shortfall.hint})`]
}

/** The daemon's refusal of a level that is too low, with what this machine lacks for a higher one. */
export function withShortfall(error: unknown, shortfall: Shortfall | undefined): unknown {
  if (!isBrokerError(error) || error.code !== 'isolation_unavailable') return error
  if (shortfall === undefined) return error
  return new BrokerError(error.code, `${error.message}: ${shortfall.reason}`, {
    hint: shortfall.hint,
    details: error.details,
    cause: error,
  })
}
