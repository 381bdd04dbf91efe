import type { LeasePlan } from '../api/types.ts'
import { createClient } from '../client/http.ts'
import { type Scrubbed, scrubEnvironment } from '../launch/scrub.ts'
import { formatDuration } from '../lib/duration.ts'
import { pathOf } from './failure.ts'
import type { ExecOptions } from './parse.ts'
import { leaseRequest } from './request.ts'
import { print } from './say.ts'
import type { TaskPlace } from './task.ts'

/** What every task is told about its lease. */
const OWN = ['BROKER_LEASE', 'BROKER_ENV', 'BROKER_EXPIRES_AT', 'BROKER_SOCKET', 'BROKER_HANDLE']

/** Prints what a task would get and lose. Mints nothing, runs nothing. */
export async function dryRun(options: ExecOptions, place: TaskPlace): Promise<number> {
  const path = options.command === undefined ? '' : pathOf(options.command, place.env, place.cwd)
  const plan = await createClient(place).request<LeasePlan>('planLease', {
    body: leaseRequest(options, process.pid),
  })
  print(planLines(plan, scrubEnvironment(place.env, options), path))
  return 0
}

export function planLines(plan: LeasePlan, scrubbed: Scrubbed, path: string): string[] {
  const injected = plan.grants.flatMap((grant) => grant.variables)
  return [
    `lease      ${plan.environment} · template ${plan.template.name} version ${plan.template.version}` +
      ` · ${formatDuration(plan.ttlMs)} · isolation ${plan.isolation}`,
    `command    ${path || 'none given'}`,
    '',
    'allowed',
    ...plan.grants.map((grant) => {
      const what = [grant.provider, grant.mode, grant.capability, grant.connection].filter(Boolean)
      return `  ${grant.name} (${what.join(', ')}): ${grant.operations.join(', ') || 'nothing'}`
    }),
    '',
    'injected',
    ...[...new Set([...injected, ...OWN])].map((name) => `  ${name}`),
    '',
    'scrubbed',
    ...(scrubbed.removed.length === 0 ? ['  nothing'] : []),
    ...scrubbed.removed.map(({ name, why }) => `  ${name}: ${why}`),
    '',
    'hidden',
    '  nothing: isolation scrub cleans the environment and hides no files',
    '',
    'nothing was issued and nothing ran',
  ]
}
