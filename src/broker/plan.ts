import { narrowTtl, resolveOperations } from '../core/decide.ts'
import type { Binding, GrantRule, Isolation } from '../core/template.ts'
import { ISOLATIONS } from '../core/template.ts'
import { BrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Provider } from '../providers/provider.ts'
import type { Caller, Context } from './context.ts'
import type { Choice } from './policy.ts'

export interface Wish {
  readonly ttlMs?: number | undefined
  readonly isolation?: Isolation | undefined
}

export interface PlannedGrant {
  readonly name: string
  readonly provider: Provider
  readonly connection: string | null
  readonly target: JsonObject
  /** Exact names, sorted. */
  readonly operations: readonly string[]
}

/** All that was decided before anything is recorded or minted. */
export interface Plan {
  readonly choice: Choice
  readonly ttlMs: number
  readonly isolation: Isolation
  readonly grants: readonly PlannedGrant[]
}

/** Decides the whole lease, and refuses what this version cannot enforce instead of serving less. */
export async function plan(
  context: Context,
  caller: Caller,
  choice: Choice,
  wish: Wish,
): Promise<Plan> {
  const { template, environment } = choice
  const isolation = reach(template.name, template.isolation, wish.isolation ?? 'scrub')
  refuseUnenforceable(choice)
  const ttlMs = boundedTtl(context, caller, choice, wish.ttlMs)
  const grants: PlannedGrant[] = []
  for (const [name, rule] of Object.entries(template.grants)) {
    const binding = environment.bindings[name]
    // A template may serve environments that lack one of its grants (contract §3).
    if (binding) grants.push(await planGrant(context, choice, name, rule, binding))
  }
  if (grants.length === 0) {
    throw new BrokerError(
      'denied',
      `template "${template.name}" grants nothing in "${environment.name}"`,
      {
        hint: `add one of its grants under environments: ${environment.name}:`,
      },
    )
  }
  refuseClashes(grants)
  if (caller.kind === 'lease') refuseWidening(caller, grants, environment.name)
  return { choice, ttlMs, isolation, grants }
}

function reach(template: string, wanted: Isolation, reached: Isolation): Isolation {
  if (reached !== 'scrub') {
    throw new BrokerError(
      'isolation_unavailable',
      `isolation "${reached}" is not available in this version`,
      {
        hint: 'only "scrub" is: a clean environment, no boundary against the same user',
      },
    )
  }
  if (ISOLATIONS.indexOf(wanted) <= ISOLATIONS.indexOf(reached)) return reached
  throw new BrokerError(
    'isolation_unavailable',
    `template "${template}" asks for isolation "${wanted}", this machine reaches "${reached}"`,
    { hint: 'an admin may lower it in broker.yaml, knowing that scrub is not a boundary' },
  )
}

/** What needs parts that do not exist yet is refused, never ignored. */
function refuseUnenforceable({ template, environment }: Choice): void {
  if (template.egress !== 'open') {
    throw new BrokerError(
      'unsupported',
      `template "${template.name}" limits egress, which this version cannot enforce`,
      {
        hint: 'leases under it are refused until the enforcing proxy is there',
      },
    )
  }
  if (template.approval === 'required') {
    throw new BrokerError(
      'approval_required',
      `template "${template.name}" needs an approval, which this version cannot ask for`,
      {
        hint: 'leases under it are refused until approvals are there',
        details: { environment: environment.name },
      },
    )
  }
}

/** A lease inside a task never outlives the task's own. */
function boundedTtl(context: Context, caller: Caller, choice: Choice, wanted?: number): number {
  const granted = narrowTtl(wanted, choice.template, choice.environment.protected)
  if (caller.kind === 'operator') return granted
  return Math.min(granted, Math.max(1, caller.lease.expiresAt - context.now()))
}

async function planGrant(
  context: Context,
  { template, environment }: Choice,
  name: string,
  rule: GrantRule,
  binding: Binding,
): Promise<PlannedGrant> {
  const provider = await providerOf(context, binding, name)
  const { allowed, approve, unknown } = resolveOperations(
    rule,
    provider.catalogue,
    environment.protected,
  )
  const stranger = unknown[0]
  if (stranger) {
    throw new BrokerError(
      'denied',
      `grant "${name}" names "${stranger.pattern}", which ${provider.name} does not have`,
      {
        hint: stranger.suggestion
          ? `did you mean "${stranger.suggestion}"?`
          : 'correct it in broker.yaml and apply it again',
      },
    )
  }
  if (approve.length > 0) {
    throw new BrokerError(
      'approval_required',
      `grant "${name}" of template "${template.name}" needs an approval in "${environment.name}", which this version cannot ask for`,
      {
        hint: 'leases under it are refused until approvals are there',
        details: { operations: approve },
      },
    )
  }
  if (allowed.length === 0) {
    throw new BrokerError(
      'denied',
      `grant "${name}" of template "${template.name}" allows nothing`,
      {
        hint: 'its deny rules take away all that its allow rules give',
      },
    )
  }
  return {
    name,
    provider,
    connection: binding.connection,
    target: provider.parseTarget(binding.target),
    operations: allowed,
  }
}

async function providerOf(context: Context, binding: Binding, grant: string): Promise<Provider> {
  if (binding.connection === null) {
    const provider = await context.provider(binding.provider ?? '')
    if (provider.secretPrompt === null) return provider
    throw new BrokerError(
      'config_invalid',
      `grant "${grant}" needs a connection to ${provider.name}`,
      {
        hint: `store one with: broker connect ${provider.name}, and name it under the environment`,
      },
    )
  }
  const stored = await context.store.read.connection(binding.connection)
  if (!stored) {
    throw new BrokerError(
      'connection_missing',
      `grant "${grant}" needs connection "${binding.connection}", which is not stored`,
      {
        hint: `store it with: broker connect ${binding.provider ?? 'PROVIDER'} ${binding.connection}`,
        details: { connection: binding.connection },
      },
    )
  }
  if (binding.provider !== null && binding.provider !== stored.provider) {
    throw new BrokerError(
      'config_invalid',
      `connection "${stored.name}" is of provider "${stored.provider}", broker.yaml says "${binding.provider}"`,
      {
        hint: 'correct one of the two',
      },
    )
  }
  return context.provider(stored.provider)
}

function refuseClashes(grants: readonly PlannedGrant[]): void {
  const setBy = new Map<string, string>()
  for (const grant of grants) {
    for (const variable of grant.provider.variables(grant.target)) {
      const other = setBy.get(variable)
      if (other !== undefined) {
        throw new BrokerError(
          'config_invalid',
          `grants "${other}" and "${grant.name}" both set ${variable}`,
          {
            hint: 'put them into different environments or templates',
          },
        )
      }
      setBy.set(variable, grant.name)
    }
  }
}

/** A lease asked for from inside a task is a subset of the task's own: same place, nothing more. */
function refuseWidening(
  caller: Extract<Caller, { kind: 'lease' }>,
  grants: readonly PlannedGrant[],
  environment: string,
): void {
  const hint =
    'inside a task only what the task already has can be asked for; a person runs broker exec outside it'
  if (caller.lease.environment !== environment) {
    throw new BrokerError(
      'denied',
      `this task is for "${caller.lease.environment}", not for "${environment}"`,
      { hint },
    )
  }
  for (const grant of grants) {
    const held = caller.lease.grants.find(
      (one) =>
        one.name === grant.name &&
        one.provider === grant.provider.name &&
        one.connection === grant.connection,
    )
    const wider = grant.operations.filter((operation) => !held?.operations.includes(operation))
    if (wider.length > 0) {
      throw new BrokerError('denied', `this task may not ${wider.join(', ')} on "${grant.name}"`, {
        hint,
        details: { grant: grant.name, operations: wider },
      })
    }
  }
}
