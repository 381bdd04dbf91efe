import type { LeasePlan } from '../api/types.ts'
import { createClient } from '../client/http.ts'
import { PROXY_VARIABLES, whyReplaced } from '../launch/proxy-environment.ts'
import { toolNames } from '../launch/recipe/tool-places.ts'
import { type Scrubbed, scrubEnvironment } from '../launch/scrub.ts'
import { formatDuration } from '../lib/duration.ts'
import { pathOf } from './failure.ts'
import { launchOf } from './known-program.ts'
import type { ExecOptions } from './parse.ts'
import { leaseRequest } from './request.ts'
import { print } from './say.ts'
import { shortfallLines, withShortfall } from './shortfall.ts'
import type { TaskPlace } from './task.ts'
import { wallsFor } from './walls.ts'

/** What every task is told about its lease. */
const OWN = ['BROKER_LEASE', 'BROKER_ENV', 'BROKER_EXPIRES_AT', 'BROKER_SOCKET', 'BROKER_HANDLE']

/** Prints what a task would get and lose. Mints nothing, runs nothing. */
export async function dryRun(given: ExecOptions, place: TaskPlace): Promise<number> {
  const path = given.command === undefined ? '' : pathOf(given.command, place.env, place.cwd)
  const launch = path === '' ? undefined : await launchOf(given, place, path)
  const options = { ...given, pass: [...given.pass, ...(launch?.pass ?? [])] }
  const walls = await wallsFor(options, place, path, launch)
  const plan = await createClient(place)
    .request<LeasePlan>('planLease', { body: leaseRequest(options, walls.level, process.pid) })
    .catch((error: unknown) => {
      throw withShortfall(error, walls.shortfall)
    })
  const scrubbed = scrubEnvironment(place.env, options)
  const hidden = walls.describe(scrubbed.kept)
  const all = [...hidden, ...shortfallLines(walls).map(indented)]
  const fitted = launch?.fit({
    level: walls.level,
    environment: scrubbed.kept,
    granted: plan.grants.flatMap((grant) => grant.variables),
  })
  const notes = [...(fitted?.remarks ?? []), ...egressLines(plan, fitted?.hosts ?? [])]
  print(planLines(plan, scrubbed, path, all, toolNames(options.pass), notes))
  return 0
}

/** An agent whose model is out of reach says so in many words, and none of them is ours. */
function egressLines({ egress, proxied }: LeasePlan, hosts: readonly string[]): string[] {
  if (egress === 'open' || !proxied) return []
  const missing = hosts.filter((host) => !egress.includes(host))
  if (missing.length === 0) return []
  return [`egress leaves out ${missing.join(', ')}, where its model or its login is`]
}

export function planLines(
  plan: LeasePlan,
  scrubbed: Scrubbed,
  path: string,
  hidden: readonly string[],
  tools: readonly string[] = [],
  notes: readonly string[] = [],
): string[] {
  const injected = plan.grants.flatMap((grant) => grant.variables)
  return [
    `lease      ${plan.environment} · template ${plan.template.name} version ${plan.template.version}` +
      ` · ${formatDuration(plan.ttlMs)} · isolation ${plan.isolation}`,
    `approval   ${plan.approval === null ? 'not needed' : `a person decides first (${plan.approval})`}`,
    `proxy      ${plan.proxied ? 'one of its own, on this machine' : 'none'}`,
    `egress     ${plan.egress === 'open' ? 'open' : plan.egress.join(', ') || 'nowhere'}`,
    `command    ${path || 'none given'}`,
    '',
    'allowed',
    ...plan.grants.flatMap(grantLines),
    '',
    'injected',
    ...[...new Set([...injected, ...OWN])].map(indented),
    '',
    "injected for tools, instead of the person's own places",
    ...orNothing(tools.map(indented)),
    ...(plan.proxied ? ['', 'injected for the proxy', ...PROXY_VARIABLES.map(indented)] : []),
    '',
    'scrubbed',
    ...orNothing(scrubbed.removed.map(({ name, why }) => `  ${name}: ${why}`)),
    ...(plan.proxied ? ['', 'replaced for the proxy', ...orNothing(replaced(scrubbed))] : []),
    '',
    'hidden',
    ...hidden,
    ...(notes.length > 0 ? ['', 'to know', ...notes.map(indented)] : []),
    '',
    'nothing was issued and nothing ran',
  ]
}

function grantLines(grant: LeasePlan['grants'][number]): string[] {
  const what = [grant.provider, grant.mode, grant.capability, grant.connection].filter(Boolean)
  return [
    `  ${grant.name} (${what.join(', ')}): ${grant.operations.join(', ') || 'nothing'}`,
    ...(grant.approvable.length > 0
      ? [`  ${grant.name}, each once a person approves it: ${grant.approvable.join(', ')}`]
      : []),
  ]
}

/** What the caller has and the task of a proxied lease does not get: it would lead around the proxy. */
function replaced({ kept }: Scrubbed): string[] {
  return Object.keys(kept)
    .sort()
    .flatMap((name) => {
      const why = whyReplaced(name)
      return why === undefined ? [] : [`  ${name}: ${why}`]
    })
}

const indented = (text: string) => `  ${text}`

function orNothing(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ['  nothing'] : lines
}
