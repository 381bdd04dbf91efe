import type { TaskPlaceView } from '../api/types.ts'
import type { Lease } from '../core/lease.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { faultPoint } from '../lib/fault.ts'
import { newBearer, newLeaseId } from '../lib/ids.ts'
import { Secret } from '../lib/secret.ts'
import type { Minted } from '../providers/provider.ts'
import { abandonPending } from './approval/lapse.ts'
import type { Asked, IssueRequest } from './asked.ts'
import { openTaskProxy, type TaskProxy } from './authorize/open.ts'
import type { Caller, Context } from './context.ts'
import { refusing } from './exchange/refuse.ts'
import { draftLease, type LeaseBearers, recordIntent } from './intent.ts'
import { type MintedGrant, mintAll, recordActive } from './mint.ts'
import { leaseBinding, type Waiting, waitForApproval } from './pending.ts'
import { openPlace } from './place.ts'
import { type Plan, plan } from './plan.ts'
import { choose } from './policy.ts'
import { checkReason } from './record.ts'
import { recordRefusal } from './refusal.ts'
import { revoke } from './revoke.ts'

export interface Issued {
  readonly lease: Lease
  /** For the child. The only place from which credentials leave. */
  readonly variables: Secret<Readonly<Record<string, string>>>
  /** Its own proxy; null where it needs none. */
  readonly proxy: TaskProxy | null
  /** What it finds behind its walls; null where it has none. */
  readonly place: TaskPlaceView | null
  /** Proves that a reconnecting session is the one this lease was given to. */
  readonly session: Secret
}

/** Decides a lease without recording or minting anything: `exec --dry-run`. */
export async function preview(
  context: Context,
  caller: Caller,
  request: IssueRequest,
): Promise<Plan> {
  const policy = await context.policy()
  const choice = choose(policy, caller, request.environment, request.template)
  return plan(context, caller, choice, request)
}

/**
 * Issues one lease: decide, record the intent, mint, record the result. The lease is `active` and
 * unacknowledged when this returns; call `acknowledge` within 20 s. On any failure whatever was
 * minted is revoked before the error is thrown. Not to be repeated: each call is a lease of its own.
 * One that needs a person's approval waits for it, where there is someone to wait; without, it is
 * refused with `approval_required`.
 */
export async function issue(
  context: Context,
  caller: Caller,
  request: IssueRequest,
  waiting: Waiting | null = null,
): Promise<Issued> {
  faultPoint('C0')
  return refusing(context, caller, request, async () => {
    const asked = await askedOf(context, caller, request, consumedBy(caller))
    return issueAsked(context, asked, waiting)
  })
}

/** A session's identity token is used up with its lease, and answers no request twice. */
function consumedBy(caller: Caller): Asked['consumes'] {
  if (caller.kind !== 'subject') return null
  const { id, keepUntil } = caller.subject.token
  return { token: id, keepUntil, key: null, request: null }
}

/** Checks a request as far as that needs no provider, and finds its template. */
export async function askedOf(
  context: Context,
  caller: Caller,
  request: IssueRequest,
  consumes: Asked['consumes'],
): Promise<Asked> {
  const reason = checkReason(request.reason)
  const policy = await context.policy()
  const choice = choose(policy, caller, request.environment, request.template)
  return { caller, request, reason, choice, consumes }
}

async function issueAsked(
  context: Context,
  asked: Asked,
  waiting: Waiting | null,
): Promise<Issued> {
  const secrets = {
    handle: newBearer('bkh_', context.random),
    session: newBearer('bks_', context.random),
  }
  const { decided, lease } = await decide(context, asked, secrets, waiting)
  faultPoint('C3')
  const minted = await mintAll(context, decided, lease)
  faultPoint('C5')
  const { place, proxy } = await openTask(context, decided, lease, minted)
  const active = await recordActive(context, lease, minted)
  faultPoint('C6')
  return {
    lease: active,
    variables: variablesOf(active, minted, secrets.handle),
    proxy,
    place,
    session: new Secret(secrets.session),
  }
}

interface Decided {
  readonly decided: Plan
  readonly lease: Lease
}

async function decide(
  context: Context,
  asked: Asked,
  secrets: LeaseBearers,
  waiting: Waiting | null,
): Promise<Decided> {
  let decided: Plan
  let draft: Lease
  try {
    decided = await plan(context, asked.caller, asked.choice, asked.request)
    refuseWithoutReserve(context)
    draft = await draftLease(context, asked, decided, newLeaseId(context.now(), context.random))
    if (decided.approval === null) {
      const lease = await recordIntent(context, asked, decided, draft, secrets, null)
      return { decided, lease }
    }
    if (!waiting) throw nobodyWaits(decided.approval)
  } catch (error) {
    await recordRefusal(context, asked, error)
    throw error
  }
  return whenApproved(context, asked, decided, draft, secrets, waiting)
}

/** From here on the pending lease's own row tells what became of it. */
async function whenApproved(
  context: Context,
  asked: Asked,
  decided: Plan,
  draft: Lease,
  secrets: LeaseBearers,
  waiting: Waiting,
): Promise<Decided> {
  const approval = await waitForApproval(context, asked, decided, draft, secrets, waiting).catch(
    async (error: unknown) => {
      if (!(await context.store.read.state(draft.id))) await recordRefusal(context, asked, error)
      throw error
    },
  )
  try {
    const again = await replan(context, asked, draft, approval.binding)
    const lease = await draftLease(context, asked, again, draft.id)
    return {
      decided: again,
      lease: await recordIntent(context, asked, again, lease, secrets, approval),
    }
  } catch (error) {
    await abandonPending(context, draft.id, 'denied', isBrokerError(error) ? error.message : null)
    throw error
  }
}

/** Minutes have passed: what is minted has to be what the person was shown, by today's rules. */
async function replan(
  context: Context,
  asked: Asked,
  draft: Lease,
  binding: string,
): Promise<Plan> {
  const { caller, request, choice } = asked
  const policy = await context.policy()
  const now = choose(policy, caller, request.environment, choice.template.name)
  const again = await plan(context, caller, now, request)
  if (leaseBinding(draft, again) === binding) return again
  throw new BrokerError('denied', 'the template changed while the lease waited for its approval', {
    hint: 'ask again; the new terms need an approval of their own',
  })
}

function nobodyWaits(rule: string): BrokerError {
  return new BrokerError('approval_required', `this lease needs an approval first (${rule})`, {
    hint: 'ask for it with broker exec, which waits for the person',
  })
}

/**
 * Without its proxy a phantom is worth nothing, and a limited egress is none; without its place a task
 * behind walls reaches nobody: nothing is issued.
 */
async function openTask(
  context: Context,
  decided: Plan,
  lease: Lease,
  minted: readonly MintedGrant[],
): Promise<Pick<Issued, 'place' | 'proxy'>> {
  try {
    const services = minted.flatMap((one) => one.services)
    const place = await openPlace(context, decided, lease, services)
    return { place, proxy: await openTaskProxy(context, decided, lease, minted) }
  } catch (error) {
    await revoke(context, lease.id, 'mint_failed')
    throw error
  }
}

/** What a task finds in its environment. */
export function variablesOf(
  lease: Lease,
  minted: readonly Minted[],
  handle: string,
): Secret<Readonly<Record<string, string>>> {
  const own = {
    BROKER_LEASE: lease.id,
    BROKER_ENV: lease.environment,
    BROKER_EXPIRES_AT: new Date(lease.expiresAt).toISOString(),
    BROKER_HANDLE: handle,
  }
  return new Secret(Object.assign({}, ...minted.map((one) => one.variables.reveal()), own))
}

export function refuseWithoutReserve({ store }: Context): void {
  if (store.hasReserve()) return
  throw new BrokerError(
    'storage_full',
    'the disk is full: nothing is issued that could not be ended',
    {
      hint: 'free some space where the broker keeps its state; running leases still end',
    },
  )
}
