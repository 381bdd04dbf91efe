import type { GrantView, LeaseView } from '../api/types.ts'
import { foreignKeyText } from './foreign-key-text.ts'
import { age, clock, left } from './moments.ts'
import { type Cell, type Column, table } from './table.ts'
import { type Look, paint, type Style, visible } from './terminal.ts'

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

/** Not even an ended one, of the named environment or of any. */
export function noLeases(environment: string | undefined): readonly string[] {
  return [
    environment === undefined ? 'no leases yet' : 'no leases of that environment yet',
    'broker exec --env NAME -- COMMAND gets one; broker template list names the environments',
  ]
}

/**
 * A row a lease; below it, on a terminal, the run it is for, what its proxy decided, how it ended and what is wrong. For a
 * pipe a last field.
 */
export function leaseRows(leases: readonly LeaseView[], now: number, look: Look): string[] {
  if (!look.terminal) {
    const remarks = (lease: LeaseView) => [...facts(lease, now), ...troubles(lease, now)].join('; ')
    const rows = leases.map((lease) => [...cells(lease, now), { text: remarks(lease) }])
    return table(COLUMNS, rows, look)
  }
  const cellRows = leases.map((lease) => cells(lease, now))
  const [heading = '', ...rows] = table(COLUMNS, cellRows, look)
  const body = leases.flatMap((lease, index) => [
    rows[index] ?? '',
    ...facts(lease, now).map((text) => paint(look, 'dim', `  ${visible(text)}`)),
    ...troubles(lease, now).map((text) => `  ${paint(look, 'bad', `! ${visible(text)}`)}`),
  ])
  return [heading, ...body]
}

const STATE_STYLE: Readonly<Record<string, Style>> = {
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

/** What a person has to know of: keys that were found, what may still work, what cannot be ended. */
export function troubles(lease: LeaseView, now: number): string[] {
  const unfinished = lease.grants.flatMap((grant) => {
    const error = grant.lastError === undefined ? '' : `: ${grant.lastError}`
    const until = grant.possiblyLiveUntil
    const possibly = until !== null && Date.parse(until) > now
    return [
      ...(possibly ? [`${grant.name} possibly live until ${clock(until, now)}`] : []),
      ...(grant.state === 'stuck' ? [`${grant.name} stuck, still retried${error}`] : []),
      ...(grant.state !== 'stuck' && error !== '' ? [`${grant.name} ${grant.state}${error}`] : []),
    ]
  })
  return [...lease.foreignCredentials.map(foreignKeyText), ...unfinished]
}

function facts(lease: LeaseView, now: number): string[] {
  return [...runOf(lease), ...requests(lease), ...ending(lease, now)]
}

/** Of a CI job: whose work it is. Its issuer wrote the words, a stranger may have chosen them. */
function runOf({ run }: LeaseView): string[] {
  if (!run) return []
  const { repository, ref, workflow } = run
  const number = run.run === null ? null : `run ${run.run}`
  const known = [repository, ref, workflow, number].filter((part) => part !== null)
  return known.length === 0 ? [] : [`for ${known.map(clip).join(' · ')}`]
}

const LONGEST_PART = 120

function clip(text: string): string {
  const characters = [...text]
  if (characters.length <= LONGEST_PART) return text
  return `${characters.slice(0, LONGEST_PART - 1).join('')}…`
}

/** What the proxy decided. Of a native grant nobody sees what is done with it. */
function requests({ grants }: LeaseView): string[] {
  return grants
    .filter((grant) => grant.mode === 'proxied')
    .map(({ name, requests: { allowed, denied, approved } }) => {
      return `${name} requests: ${allowed} allowed, ${denied} denied, ${approved} approved`
    })
}

function ending({ endedAt, endReason, endNote }: LeaseView, now: number): string[] {
  if (endedAt === null) return []
  const note = endNote === null ? '' : ` (${endNote})`
  return [`ended ${clock(endedAt, now)}: ${endReason ?? 'reason unknown'}${note}`]
}
