import type { Lease } from '../core/lease.ts'
import { BrokerError } from '../errors.ts'
import { faultPoint } from '../lib/fault.ts'
import { newBearer } from '../lib/ids.ts'
import { Secret } from '../lib/secret.ts'
import type { Minted } from '../providers/provider.ts'
import type { Asked, IssueRequest } from './asked.ts'
import type { Caller, Context } from './context.ts'
import { recordIntent } from './intent.ts'
import { mintAll, recordActive } from './mint.ts'
import { type Plan, plan } from './plan.ts'
import { choose } from './policy.ts'
import { checkReason } from './record.ts'
import { recordRefusal } from './refusal.ts'

export interface Issued {
  readonly lease: Lease
  /** For the child. The only place from which credentials leave. */
  readonly variables: Secret<Readonly<Record<string, string>>>
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
 */
export async function issue(
  context: Context,
  caller: Caller,
  request: IssueRequest,
): Promise<Issued> {
  faultPoint('C0')
  const reason = checkReason(request.reason)
  const policy = await context.policy()
  const choice = choose(policy, caller, request.environment, request.template)
  const asked: Asked = { caller, request, reason, choice }
  const secrets = {
    handle: newBearer('bkh_', context.random),
    session: newBearer('bks_', context.random),
  }
  const { decided, lease } = await decide(context, asked, secrets)
  faultPoint('C3')
  const minted = await mintAll(context, decided, lease)
  faultPoint('C5')
  const active = await recordActive(context, lease, minted)
  faultPoint('C6')
  return {
    lease: active,
    variables: variablesOf(active, minted, secrets.handle),
    session: new Secret(secrets.session),
  }
}

async function decide(
  context: Context,
  asked: Asked,
  secrets: { readonly handle: string; readonly session: string },
): Promise<{ decided: Plan; lease: Lease }> {
  try {
    const decided = await plan(context, asked.caller, asked.choice, asked.request)
    if (!context.store.hasReserve()) throw noReserve()
    return { decided, lease: await recordIntent(context, asked, decided, secrets) }
  } catch (error) {
    await recordRefusal(context, asked, error)
    throw error
  }
}

function variablesOf(
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

function noReserve(): BrokerError {
  return new BrokerError(
    'storage_full',
    'the disk is full: nothing is issued that could not be ended',
    {
      hint: 'free some space where the broker keeps its state; running leases still end',
    },
  )
}
