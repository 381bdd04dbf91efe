import type { GrantView, LeaseView } from '../api/types.ts'
import { age, clock, left } from './moments.ts'
import { type Cell, type Column, table } from './table.ts'
import { type Look, paint, visible } from './terminal.ts'

const COLUMNS: readonly Column[] = [
  { title: 'LEASE' },
  { title: 'STATE' },
  { title: 'ENV', least: 7 },
  { title: 'TEMPLATE', least: 8 },
  { title: 'WHO', least: 5 },
  { title: 'COMMAND', least: 7 },
  { title: 'AGE' },
  { title: 'LEFT' },
  { title: 'GRANTS', least: 12 },
]

/** No live lease: what a newcomer needs is how to get one. */
export const NO_TOKENS: readonly string[] = [
  'no live tokens',
  'broker exec --env staging -- COMMAND gets one for as long as COMMAND runs',
]

/** A row a lease; below it, on a terminal, what is wrong with it. For a pipe that is a last field. */
export function leaseRows(leases: readonly LeaseView[], now: number, look: Look): string[] {
  if (!look.terminal) {
    const rows = leases.map((lease) => [
      ...cells(lease, now),
      { text: troubles(lease, now).join('; ') },
    ])
    return table(COLUMNS, rows, look)
  }
  const [heading, ...rows] = table(
    COLUMNS,
    leases.map((lease) => cells(lease, now)),
    look,
  )
  const body = leases.flatMap((lease, index) => [
    rows[index] ?? '',
    ...troubles(lease, now).map((text) => `  ${paint(look, 'bad', `! ${visible(text)}`)}`),
  ])
  return [heading ?? '', ...body]
}

const STATE_STYLE: Readonly<Record<string, NonNullable<Cell['style']>>> = {
  active: 'good',
  minting: 'warn',
  revoking: 'warn',
  stuck: 'bad',
  failed: 'bad',
}

function cells(lease: LeaseView, now: number): Cell[] {
  return [
    { text: lease.id },
    { text: lease.state, style: STATE_STYLE[lease.state] ?? 'dim' },
    { text: lease.environment },
    { text: `${lease.template.name} v${lease.template.version}` },
    { text: lease.principal.id },
    { text: lease.actor.command ?? '-' },
    { text: age(lease.issuedAt, now) },
    { text: lease.endedAt === null ? left(lease.expiresAt, now) : '-' },
    { text: lease.grants.map((grant) => grantText(grant, lease)).join(', ') || '-' },
  ]
}

/** `db native`, and the grant's own state where it is not the lease's. */
function grantText(grant: GrantView, lease: LeaseView): string {
  const state = grant.state === lease.state ? '' : ` ${grant.state}`
  return `${grant.name} ${grant.mode}${state}`
}

/** What a person has to know of: may still work, cannot be ended, ended for a reason of its own. */
export function troubles(lease: LeaseView, now: number): string[] {
  const lines = lease.grants.flatMap((grant) => {
    const error = grant.lastError === undefined ? '' : `: ${grant.lastError}`
    const until = grant.possiblyLiveUntil
    const possibly = until !== null && Date.parse(until) > now
    return [
      ...(possibly ? [`${grant.name} possibly live until ${clock(until, now)}`] : []),
      ...(grant.state === 'stuck' ? [`${grant.name} stuck, still retried${error}`] : []),
      ...(grant.state !== 'stuck' && error !== '' ? [`${grant.name} ${grant.state}${error}`] : []),
    ]
  })
  if (lease.endedAt === null || lease.endReason === null) return lines
  const note = lease.endNote === null ? '' : ` (${lease.endNote})`
  return [`ended ${clock(lease.endedAt, now)}: ${lease.endReason}${note}`, ...lines]
}
