import { BrokerError } from '../errors.ts'
import type { Route } from './agent/told.ts'
import type { AgentReport } from './agent-report.ts'
import type { Processes } from './processes.ts'
import type { ForeignKey } from './result.ts'

interface Entry {
  readonly type: string
  readonly lease: string | null
  readonly data: Readonly<Record<string, unknown>>
}

interface Leases {
  readonly leases: readonly {
    readonly id: string
    readonly foreignCredentials: readonly ForeignKey[]
  }[]
}

export interface Audit {
  readonly lease: string
  readonly entries: readonly Entry[]
  /** `broker audit verify` found the log whole. */
  readonly verified: boolean
  /** Told with the lease, and by the same fingerprint in the log. */
  readonly foreignKey: ForeignKey | null
}

/** What the broker tells afterwards of its first lease, through its command line. */
export async function auditOf(processes: Processes): Promise<Audit> {
  const { leases } = await processes.json<Leases>(['tokens', '--all'])
  const first = leases.at(-1)
  if (!first) {
    throw new BrokerError('internal', 'the broker of the demo knows of no lease', {
      hint: 'run it again with --keep and look into the folder that it leaves',
    })
  }
  const list = ['audit', 'list', '--lease', first.id]
  const { entries } = await processes.json<{ entries: readonly Entry[] }>(list)
  const verdict = await processes.broker(['audit', 'verify'])
  return {
    lease: first.id,
    entries,
    verified: verdict.status === 0,
    foreignKey: reportedKey(first.foreignCredentials, entries),
  }
}

function reportedKey(keys: readonly ForeignKey[], entries: readonly Entry[]): ForeignKey | null {
  const [key, ...others] = keys
  if (!key || others.length > 0) return null
  const logged = entries.some(({ data }) => data['fingerprint'] === key.fingerprint)
  const { host, fingerprint, times } = key
  return logged ? { host, fingerprint, times } : null
}

/**
 * The routes that the broker refused and wrote down. The log names no paths and no bodies, so the two
 * are matched in their order: what the agent was told is what has to stand there.
 */
export function loggedRefusals(report: AgentReport, entries: readonly Entry[]): ReadonlySet<Route> {
  const logged = entries
    .filter(({ type }) => type === 'request.denied')
    .map(({ data }) => data['code'])
  const found = new Set<Route>()
  for (const told of report.all) {
    if (told.kind === 'found' || !told.answer.byBroker) continue
    const at = logged.indexOf(told.answer.code)
    if (at < 0) continue
    logged.splice(0, at + 1)
    if (told.kind === 'attempt') found.add(told.route)
  }
  return found
}
