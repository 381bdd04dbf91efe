import { BrokerError } from '../../errors.ts'
import type { Unavailable } from './diagnosis.ts'
import type { IsolatedLevel, Level } from './level.ts'
import type { Probed } from './probe.ts'

/** Why a stronger level is not there. */
export type Shortfall = Pick<Unavailable, 'reason' | 'hint'>

export interface Reached {
  readonly level: Level
  /** Only where less than `confine` was reached. */
  readonly shortfall: Shortfall | undefined
}

/** Strongest first. */
const TRIED: readonly IsolatedLevel[] = ['confine', 'mask']

/**
 * The strongest level that works, or the one that was asked for: then anything less is refused with
 * `isolation_unavailable`, what is missing, and how to get it.
 */
export async function reachLevel(
  wanted: 'auto' | IsolatedLevel,
  probe: (level: IsolatedLevel) => Promise<Probed>,
): Promise<Reached> {
  let shortfall: Shortfall | undefined
  for (const level of wanted === 'auto' ? TRIED : [wanted]) {
    const probed = await probe(level)
    if (probed.works) return { level, shortfall }
    shortfall ??= { reason: probed.reason, hint: probed.hint }
  }
  if (wanted === 'auto') return { level: 'scrub', shortfall }
  throw unavailable(wanted, shortfall)
}

/** For a level that was asked for by name. */
export function unavailable(wanted: IsolatedLevel, shortfall: Shortfall | undefined): BrokerError {
  const { reason = 'it does not work', hint = 'see broker doctor' } = shortfall ?? {}
  return new BrokerError(
    'isolation_unavailable',
    `isolation "${wanted}" is not possible here: ${reason}`,
    {
      hint,
      details: { isolation: wanted },
    },
  )
}
