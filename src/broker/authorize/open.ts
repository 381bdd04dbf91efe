import type { Lease } from '../../core/lease.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Minted } from '../../providers/provider.ts'
import type { Context } from '../context.ts'
import type { Plan } from '../plan.ts'
import { LeaseGate } from './gate.ts'
import { passingOf } from './passing.ts'
import type { OpenProxy, Task, TaskGrant } from './task.ts'

/** Besides the wait for a person: look-ups before and after it, and the recording. */
const JUDGE_MS = 60_000

/** A lease's proxy, with what git clients need to find their credential by URL. */
export interface TaskProxy extends OpenProxy {
  readonly gitHeaders: readonly { readonly url: string; readonly header: string }[]
}

/** Opens the proxy of a lease whose credentials exist; null where it has none. */
export async function openTaskProxy(
  context: Context,
  plan: Plan,
  lease: Lease,
  minted: readonly Minted[],
): Promise<TaskProxy | null> {
  if (!plan.proxied) return null
  const task = taskOf(plan, lease, minted)
  const gate = new LeaseGate(context, task)
  const open = await context.openProxy({
    lease: lease.id,
    gate,
    notAfter: lease.expiresAt,
    judgeMs: task.judgeMs,
    confined: plan.walls === 'confine',
    // A person's task runs where we do. A job elsewhere would otherwise look around here, by way of us.
    privateNetworks: lease.principal.kind === 'local' || task.template.egress !== 'open',
    over: () => gate.close(),
  })
  return { ...open, gitHeaders: task.grants.flatMap(gitHeaders) }
}

function taskOf({ choice, grants }: Plan, lease: Lease, minted: readonly Minted[]): Task {
  return {
    lease: lease.id,
    environment: lease.environment,
    isProtected: choice.environment.protected,
    template: choice.template,
    principal: lease.principal,
    actor: lease.actor,
    reason: lease.reason,
    expiresAt: lease.expiresAt,
    judgeMs: choice.template.approvalWaitMs + JUDGE_MS,
    renamed: new Set(),
    grants: grants.flatMap((grant, index): TaskGrant[] => {
      const { name, provider, connection, target, rule } = grant
      const { guard } = provider
      if (!guard) return []
      const { proxied, variables } = minted[index] ?? {}
      if (!proxied || !variables || connection === null) {
        throw new TypeError(`${provider.name} made no phantom for "${name}"`)
      }
      const passing = passingOf(rule, provider.catalogue, choice.environment.protected)
      const own = { passing, proxied, variables: holding(variables, proxied.phantom) }
      const place = guard.place(target)
      return [{ name, provider, guard, connection, target, place, rule, ...own }]
    }),
  }
}

/** The names of the variables that hold it, also within a longer value. */
function holding(variables: Minted['variables'], phantom: Secret): readonly string[] {
  return Object.entries(variables.reveal()).flatMap(([name, value]) =>
    value.includes(phantom.reveal()) ? [name] : [],
  )
}

/**
 * git asks without a credential first and looks for one by helpers that agents switch off; a header
 * configured by URL is what survives. Only where the provider takes Basic authentication.
 */
function gitHeaders({ guard, proxied }: TaskGrant): TaskProxy['gitHeaders'] {
  if (!guard.carriers.some(({ scheme }) => scheme === 'basic')) return []
  const pair = Buffer.from(`x-access-token:${proxied.phantom.reveal()}`).toString('base64')
  return guard.hosts.map((host) => ({
    url: `https://${host}/`,
    header: `Authorization: Basic ${pair}`,
  }))
}
