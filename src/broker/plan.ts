import { TIMING } from '../core/deadlines.ts'
import { narrowTtl, resolveOperations } from '../core/decide.ts'
import type { GrantDetail } from '../core/details.ts'
import type { Binding, Environment, GrantRule, Isolation } from '../core/template.ts'
import { ISOLATIONS } from '../core/template.ts'
import { BrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Provider } from '../providers/provider.ts'
import type { Caller, Context } from './context.ts'
import { detailOf, narrowed, refuseUnknownGrants } from './narrow.ts'
import type { Choice } from './policy.ts'

export interface Wish {
  readonly ttlMs?: number | undefined
  readonly isolation?: Isolation | undefined
  /** Less of each grant than the template allows; a grant that is not named is left out. */
  readonly details?: readonly GrantDetail[] | undefined
}

export interface PlannedGrant {
  readonly name: string
  readonly provider: Provider
  readonly connection: string | null
  readonly target: JsonObject
  readonly rule: GrantRule
  /** Exact names, sorted. */
  readonly operations: readonly string[]
  /** Exact names that a person decides one by one at the proxy, sorted. */
  readonly approvable: readonly string[]
}

/** All that was decided before anything is recorded or minted. */
export interface Plan {
  readonly choice: Choice
  readonly ttlMs: number
  /** What the task may be taken to run at: recorded, and held against the template's least. */
  readonly isolation: Isolation
  /** What the client puts around the task. Less than `isolation` only within a task that has its own walls. */
  readonly walls: Isolation
  readonly grants: readonly PlannedGrant[]
  /**
   * It has a proxy of its own: something in it is proxied, or where it may connect to is limited, by its
   * template or because it has no other way out.
   */
  readonly proxied: boolean
  /** Why a person has to approve the lease before anything is minted; null: nobody has to. */
  readonly approval: string | null
}

/** Decides the whole lease, and refuses what this version cannot enforce instead of serving less. */
export async function plan(
  context: Context,
  caller: Caller,
  choice: Choice,
  wish: Wish,
): Promise<Plan> {
  const { template, environment } = choice
  refuseOpenEgress(choice)
  const { isolation, walls } = reached(caller, wish.isolation ?? 'scrub')
  refuseWeaker(template.name, template.isolation, isolation)
  const ttlMs = boundedTtl(context, caller, choice, wish.ttlMs)
  const grants: PlannedGrant[] = []
  const reasons: string[] = template.approval === 'required' ? ['approval: required'] : []
  for (const [name, rule] of Object.entries(template.grants)) {
    const binding = environment.bindings[name]
    const detail = detailOf(wish.details, name)
    // A template may serve environments that lack one of its grants (contract §3).
    if (!binding || detail === null) continue
    const { grant, approval } = await planGrant(context, choice, { name, rule, binding, detail })
    grants.push(grant)
    if (approval !== null) reasons.push(approval)
  }
  refuseUnknownGrants(wish.details, grants)
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
  const proxied =
    walls === 'confine' ||
    template.egress !== 'open' ||
    grants.some(({ provider }) => provider.guard)
  if (proxied && walls === 'scrub' && isolation !== 'scrub') throw noProxyWithin()
  return { choice, ttlMs, isolation, walls, grants, proxied, approval: reasons[0] ?? null }
}

/**
 * The person's own client is believed about the walls that it builds: whoever runs it could as well run
 * the task without. A task is not: what it starts counts as no better kept than itself, and behind walls it
 * shares those, since nothing that the daemon opens for it could be reached through them.
 */
function reached(caller: Caller, claimed: Isolation): Pick<Plan, 'isolation' | 'walls'> {
  if (caller.kind === 'operator') return { isolation: claimed, walls: claimed }
  // A machine elsewhere: nobody here sees what stands around the task.
  if (caller.kind === 'subject') return { isolation: 'scrub', walls: 'scrub' }
  const { isolation } = caller.lease
  return { isolation, walls: isolation === 'scrub' ? claimed : 'scrub' }
}

function refuseWeaker(template: string, least: Isolation, isolation: Isolation): void {
  if (ISOLATIONS.indexOf(least) <= ISOLATIONS.indexOf(isolation)) return
  throw new BrokerError(
    'isolation_unavailable',
    `template "${template}" asks for isolation "${least}", the task would run at "${isolation}"`,
    {
      hint: `broker doctor says what "${least}" needs on this machine; an admin may lower it in broker.yaml, knowing what is given up`,
      details: { needs: least, reached: isolation },
    },
  )
}

function noProxyWithin(): BrokerError {
  return new BrokerError(
    'unsupported',
    'a task kept apart from its machine cannot ask for a lease that needs a proxy of its own',
    { hint: 'a person runs broker exec outside of the task' },
  )
}

/** Refused when a file is applied too; a lease must not depend on that alone. The built-in one (0) is exempt. */
function refuseOpenEgress({ template, environment, version }: Choice): void {
  if (!environment.protected || template.egress !== 'open' || version === 0) return
  throw new BrokerError(
    'denied',
    `"${environment.name}" is protected, and template "${template.name}" lets a task connect anywhere`,
    { hint: 'list the hosts it needs under egress in broker.yaml' },
  )
}

/** A lease inside a task never outlives the task's own. */
function boundedTtl(context: Context, caller: Caller, choice: Choice, wanted?: number): number {
  const granted = narrowTtl(wanted, choice.template, choice.environment.protected)
  if (caller.kind === 'operator') return granted
  if (caller.kind === 'subject') {
    return wanted === undefined ? Math.min(granted, TIMING.subjectTtlMs) : granted
  }
  return Math.min(granted, Math.max(1, caller.lease.expiresAt - context.now()))
}

interface WantedGrant {
  readonly name: string
  readonly rule: GrantRule
  readonly binding: Binding
  /** Undefined: all that the rule allows. */
  readonly detail: GrantDetail | undefined
}

async function planGrant(
  context: Context,
  { template, environment }: Choice,
  { name, rule, binding, detail }: WantedGrant,
): Promise<{ grant: PlannedGrant; approval: string | null }> {
  const provider = await providerOf(context, binding, name)
  const resolved = resolveOperations(rule, provider.catalogue, environment.protected)
  const { allowed, approve } = narrowed(resolved, detail, provider.catalogue)
  const stranger = resolved.unknown[0]
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
  const native = provider.mode === 'native'
  const granted = native ? [...allowed, ...approve].sort() : allowed
  if (granted.length === 0 && approve.length === 0) {
    throw new BrokerError(
      'denied',
      `grant "${name}" of template "${template.name}" allows nothing`,
      {
        hint: 'its deny rules take away all that its allow rules give',
      },
    )
  }
  return {
    grant: {
      name,
      provider,
      connection: binding.connection,
      target: provider.parseTarget(binding.target),
      rule,
      operations: granted,
      approvable: native ? [] : approve,
    },
    // Of a native credential we see no single use: what needs a person needs one for the whole lease.
    approval: native && approve.length > 0 ? approvalReason(name, approve, environment) : null,
  }
}

function approvalReason(
  grant: string,
  approve: readonly string[],
  environment: Environment,
): string {
  const [first = '', ...more] = approve
  const what = more.length > 0 ? `${first} and ${more.length} more` : first
  return environment.protected
    ? `${grant} may ${what} in protected "${environment.name}"`
    : `${grant} may ${what} (approve)`
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
    const wider = [
      ...grant.operations.filter((operation) => !held?.operations.includes(operation)),
      // What the task may do only with a person's approval, a task inside it may not do with less.
      ...grant.approvable.filter(
        (operation) =>
          !held?.operations.includes(operation) && !held?.approvable.includes(operation),
      ),
    ]
    if (wider.length > 0) {
      throw new BrokerError('denied', `this task may not ${wider.join(', ')} on "${grant.name}"`, {
        hint,
        details: { grant: grant.name, operations: wider },
      })
    }
  }
}
