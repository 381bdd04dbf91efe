/** How long what an issuer published is used, in milliseconds. */
export const KEY_TIMING = {
  /** Bounds for the issuer's own `max-age`: a key it withdraws is gone here after the longest. */
  minFreshMs: 60_000,
  maxFreshMs: 10 * 60_000,
  /** From this part of that time on, new keys are fetched beside the work. */
  ahead: 0.8,
  /** When the issuer cannot be asked, the last keys are used until they are this old. */
  deadMs: 3_600_000,
  metadataMs: 3_600_000,
  /** Between two questions on account of key ids that nobody knows. */
  searchMs: 60_000,
  /** Between two questions while the issuer does not answer. */
  retryMs: 10_000,
} as const

/** How long an answer is fresh (RFC 9111 §5.2.2.1), within our bounds; ten minutes when it does not say. */
export function freshFor(cacheControl: string): number {
  const { minFreshMs, maxFreshMs } = KEY_TIMING
  if (/\bno-(?:store|cache)\b/i.test(cacheControl)) return minFreshMs
  const seconds = /(?:^|[\s,])max-age="?([0-9]{1,10})/i.exec(cacheControl)?.[1]
  if (seconds === undefined) return maxFreshMs
  return Math.min(Math.max(Number(seconds) * 1000, minFreshMs), maxFreshMs)
}
