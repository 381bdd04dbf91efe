import { TIMING } from '../core/deadlines.ts'
import type { Grant, Lease } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { faultPoint } from '../lib/fault.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Minted, MintRequest } from '../providers/provider.ts'
import type { Writer } from '../store/store.ts'
import { callProvider } from './call.ts'
import type { Context } from './context.ts'
import { hostInside, type Service, servicesOf } from './place.ts'
import type { Plan, PlannedGrant } from './plan.ts'
import { revoke } from './revoke.ts'

/** What a provider is told of a grant. */
export function mintRequest(
  grant: PlannedGrant,
  lease: Pick<Lease, 'id' | 'environment' | 'principal' | 'expiresAt'>,
  walls: Isolation,
): MintRequest {
  return {
    lease: lease.id,
    grant: grant.name,
    environment: lease.environment,
    operations: grant.operations,
    target: grant.target,
    notAfter: lease.expiresAt,
    principal: lease.principal.id,
    hostInside: (host) => hostInside(host, walls),
  }
}

/** A grant's credential, and the services that it is for. */
export interface MintedGrant extends Minted {
  readonly services: readonly Service[]
}

/** Mints every grant, or none that lives: if one fails, the others are revoked before this throws. */
export async function mintAll(
  context: Context,
  decided: Plan,
  lease: Lease,
): Promise<readonly MintedGrant[]> {
  const { grants, walls } = decided
  const results = await Promise.allSettled(
    grants.map((grant, index) =>
      mintOne(context, grant, lease, lease.grants[index]?.recipe ?? {}, walls),
    ),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (!failed)
    return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  await clearAfterFailure(context, lease, failed.reason)
  throw failed.reason
}

/** Whatever was minted beside the one that failed must not outlive this call. */
async function clearAfterFailure(context: Context, lease: Lease, reason: unknown): Promise<void> {
  if (isBrokerError(reason) && reason.code === 'provider_unavailable') {
    // No answer is not a "no": it may have been minted. The caller is not made to wait for an
    // upstream that hangs; the row says what to clean up, and the tick takes over if we die.
    revoke(context, lease.id, 'mint_unknown').catch((error: unknown) =>
      context.log.error('a revocation could not be recorded', error),
    )
    return
  }
  await revoke(context, lease.id, 'mint_failed')
}

function mintOne(
  context: Context,
  grant: PlannedGrant,
  lease: Lease,
  recipe: JsonObject,
  walls: Isolation,
): Promise<MintedGrant> {
  const request = mintRequest(grant, lease, walls)
  return callProvider(context, grant.connection, async (connection, world) => {
    const minted = await grant.provider.mint(request, recipe, connection, world)
    faultPoint('C4')
    return { ...minted, services: servicesOf(grant, connection, walls) }
  })
}

/**
 * The credentials exist; from here on the lease is active. On failure they are revoked before this throws.
 * `also` is written in the same transaction.
 */
export async function recordActive(
  context: Context,
  lease: Lease,
  minted: readonly Minted[],
  also?: (writer: Writer) => Promise<void>,
): Promise<Lease> {
  const now = context.now()
  const active: Lease = {
    ...lease,
    state: 'active',
    ackDeadline: now + TIMING.ackMs,
    grants: lease.grants.map((grant, index) => {
      const one = minted[index]
      return one
        ? {
            ...grant,
            state: 'active',
            handle: one.handle,
            expiresAt: one.expiresAt,
            notes: one.notes,
          }
        : grant
    }),
  }
  try {
    return await context.store.write(async (writer) => {
      if ((await writer.state(lease.id)) !== 'minting') throw lateMint(lease)
      await writer.saveLease(active, Math.min(active.ackDeadline, active.expiresAt))
      await also?.(writer)
      await writer.append({
        type: 'lease.active',
        lease: active.id,
        data: {
          grants: active.grants.map(({ name, handle, notes }) => ({
            name,
            handle,
            notes: [...notes],
          })),
        },
      })
      return active
    })
  } catch (error) {
    // Minted but not recorded: nobody may use what nobody will end. The row may have been closed
    // already (its mint was taken for lost), so what we hold is revoked directly as well.
    await Promise.allSettled([
      revoke(context, lease.id, 'mint_failed'),
      ...active.grants.map((grant) => discard(context, grant)),
    ])
    throw error
  }
}

async function discard(context: Context, grant: Grant): Promise<void> {
  const provider = await context.provider(grant.provider)
  await callProvider(context, grant.connection, (connection, world) =>
    provider.revoke(grant.recipe, grant.handle, connection, world),
  ).catch((error: unknown) => context.log.error('a late mint is left to the reconciler', error))
}

function lateMint(lease: Lease): BrokerError {
  return new BrokerError('lease_ended', `lease "${lease.id}" was ended while it was being minted`, {
    hint: 'ask again',
  })
}
