/** The timing constants of leases. All in milliseconds. Sources: design §5 and its research notes. */
export const TIMING = {
  /** Nobody confirmed receipt: the credential may be in nobody's hands, so it is revoked. */
  ackMs: 20_000,
  /** One call to a provider, mint or revoke. */
  callMs: 30_000,
  /** A mint older than this has no one waiting for it any more. */
  mintAbandonedMs: 60_000,
  /** A lost session may come back within this. */
  graceMs: 2_000,
  /** Without success for this long, a revocation is `stuck`: alarmed, and still retried. */
  stuckMs: 600_000,
  tickMs: 1_000,
  /** Of a CI job that does not say how long; its template may say less. */
  subjectTtlMs: 900_000,
  /** Wall and monotonic clocks further apart than this between two ticks: slept, or the clock was set. */
  driftMs: 2_000,
  reconcileMs: 600_000,
  maxTtlMs: 8 * 3_600_000,
  maxProtectedTtlMs: 3_600_000,
} as const

const FIRST_HOUR_MS = 3_600_000
const BASE_MS = 1_000
const EARLY_CAP_MS = 60_000
const LATE_CAP_MS = 900_000

/**
 * When to try a revocation again: full jitter (uniform between 0 and the bound), the bound doubling
 * from 1 s, capped at 60 s during the first hour of failure and at 15 min after. `random` is in [0, 1).
 */
export function retryDelay(attempts: number, failingForMs: number, random: number): number {
  const cap = failingForMs < FIRST_HOUR_MS ? EARLY_CAP_MS : LATE_CAP_MS
  const bound = Math.min(cap, BASE_MS * 2 ** Math.min(attempts - 1, 30))
  return Math.max(100, Math.floor(random * bound))
}

export function isStuck(firstFailedAt: number | null, now: number): boolean {
  return firstFailedAt !== null && now - firstFailedAt > TIMING.stuckMs
}
