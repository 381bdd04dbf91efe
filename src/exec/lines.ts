import type { LeaseView } from '../api/types.ts'
import { foreignKeyText } from '../cli/foreign-key-text.ts'
import type { Outcome } from '../client/session-terms.ts'
import { formatDuration } from '../lib/duration.ts'

/** The line before the command: `lease lse_… · staging · template staging-dev · 30m · …`. */
export function leaseLine(lease: LeaseView): string {
  const ttlMs = Date.parse(lease.expiresAt) - Date.parse(lease.issuedAt)
  return [
    `lease ${lease.id}`,
    lease.environment,
    `template ${lease.template.name}`,
    formatDuration(ttlMs),
    `isolation ${lease.isolation}`,
    lease.grants.map((grant) => `${grant.name} ${grant.mode}`).join(', '),
  ]
    .filter((part) => part !== '')
    .join(' · ')
}

/**
 * The line after it. Says `revoked` only of what was, and never of what merely expired. `flag`: of the server
 * whose lease it is.
 */
export function outcomeLine(outcome: Outcome, now: Date, flag = ''): string {
  const { lease } = outcome
  if (!outcome.confirmed && outcome.away && flag !== '') return unheardLine(lease, now)
  if (!outcome.confirmed) return `still revoking ${unfinished(lease)}: see broker tokens${flag}`
  if (lease.state === 'expired') return `expired at ${clockTime(lease.expiresAt, now)}`
  const possible = lease.grants.filter(
    (grant) =>
      grant.possiblyLiveUntil !== null && Date.parse(grant.possiblyLiveUntil) > now.getTime(),
  )
  const revoked = lease.grants.length === 0 || possible.length < lease.grants.length
  return [
    ...(revoked ? [`revoked in ${Math.max(0, Math.round(outcome.elapsedMs))} ms`] : []),
    ...possible.map(
      (grant) =>
        `${grant.name} possibly live until ${clockTime(grant.possiblyLiveUntil ?? '', now)}`,
    ),
  ].join(' · ')
}

/** Nobody has heard of the task's end: the server sees that we are gone, or the time runs out. */
function unheardLine(lease: LeaseView, now: Date): string {
  const until = clockTime(lease.expiresAt, now)
  return `the server does not answer: lease ${lease.id} (${unfinished(lease)}) may stay live until ${until}`
}

/** `withCommand`: the command is ended too. */
export function endedEarlyLine(
  id: string,
  lease: LeaseView | undefined,
  withCommand = false,
): string {
  const why =
    lease?.endNote === BY_HOLDER
      ? 'revoked by whoever holds its credential'
      : (REASONS[lease?.endReason ?? ''] ?? 'while the broker was away')
  const then = withCommand ? ', and the command is ended' : ''
  return `lease ${id} ended early (${why}): its credentials no longer work${then}`
}

/** What a server notes of a lease that was ended at its `/oauth/revoke`, in its own task for one. */
const BY_HOLDER = 'revoked by its holder'

const REASONS: Readonly<Record<string, string>> = {
  ttl: 'its time is up',
  revoked_by_operator: 'revoked',
  parent_ended: 'the task around it ended',
  task_ended: 'the session was lost',
  proxy_lost: 'its proxy ended with the daemon',
}

/** One for each key that is not the lease's own and was tried at a provider. */
export function foreignKeyLines(lease: LeaseView, flag = ''): string[] {
  // A daemon older than this version does not tell.
  const tried = lease.foreignCredentials ?? []
  return tried.map((key) => `${foreignKeyText(key)}: broker audit show ${lease.id}${flag}`)
}

export function staysLine(lease: LeaseView, now: Date): string {
  return `lease ${lease.id} stays live until ${clockTime(lease.expiresAt, now)}`
}

const ENDED: ReadonlySet<string> = new Set(['revoked', 'expired', 'failed'])

function unfinished(lease: LeaseView): string {
  const open = lease.grants.filter((grant) => !ENDED.has(grant.state))
  return (open.length > 0 ? open : lease.grants)
    .map((grant) => (grant.lastError ? `${grant.name} (${grant.lastError})` : grant.name))
    .join(', ')
}

/** Local time of day; with its date when that is another day. */
function clockTime(iso: string, now: Date): string {
  const at = new Date(iso)
  const two = (value: number) => String(value).padStart(2, '0')
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  if (at.toDateString() === now.toDateString()) return time
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`
}
