import { TIMING } from '../core/deadlines.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { Lane } from '../lib/lane.ts'
import type { Connection, World } from '../providers/provider.ts'
import type { Context } from './context.ts'
import { unsealConnection } from './sealing.ts'

const LANE_WIDTH = 8

export function laneOf(context: Context, connection: string): Lane {
  let lane = context.lanes.get(connection)
  if (!lane) {
    lane = new Lane(LANE_WIDTH, context.now)
    context.lanes.set(connection, lane)
  }
  return lane
}

export function worldOf(context: Context, own?: AbortSignal): World {
  let signal = own
  return {
    now: context.now,
    random: context.random,
    installId: context.installId,
    issuer: context.issuer,
    signer: context.signer,
    // When it is first asked for: each is a timer for half a minute, and what only signs needs none.
    get signal() {
      signal ??= AbortSignal.timeout(TIMING.callMs)
      return signal
    },
  }
}

/**
 * Calls a provider with its connection opened for this one call. The secret is fetched now and
 * dropped with the call. A connection that is gone is `connection_missing`; errors that are not
 * ours become `provider_failed`, their text staying in `cause`.
 */
export async function callProvider<T>(
  context: Context,
  name: string | null,
  call: (connection: Connection | null, world: World) => Promise<T>,
): Promise<T> {
  if (name === null) return call(null, worldOf(context))
  return inLane(context, name, async () =>
    call(await openConnection(context, name), worldOf(context)),
  )
}

/** One call that belongs to a connection, in its lane, with its errors made ours. */
export async function inLane<T>(
  context: Context,
  name: string,
  call: () => Promise<T>,
): Promise<T> {
  const lane = laneOf(context, name)
  return lane.run(async () => {
    try {
      const value = await call()
      lane.report(true)
      return value
    } catch (error) {
      const known = asProviderError(error, name)
      lane.report(known.code !== 'provider_unavailable')
      throw known
    }
  })
}

export async function openConnection(context: Context, name: string): Promise<Connection> {
  const stored = await context.store.read.connection(name)
  if (!stored) {
    throw new BrokerError('connection_missing', `connection "${name}" is not stored`, {
      hint: `store it with: broker connect PROVIDER ${name}`,
      details: { connection: name },
    })
  }
  const { name: known, settings, vaultKey } = stored
  if (vaultKey === null) return { name: known, secret: null, settings }
  const sealed = await context.vault.get(vaultKey)
  if (sealed) return unsealConnection(stored, await context.provider(stored.provider), sealed)
  throw new BrokerError('connection_missing', `the vault holds no secret for "${known}"`, {
    hint: `store it again with: broker connect ${stored.provider} ${known}`,
    details: { connection: known },
  })
}

function asProviderError(error: unknown, connection: string): BrokerError {
  if (isBrokerError(error)) return error
  const timedOut = error instanceof Error && /^(Timeout|Abort)Error$/.test(error.name)
  return new BrokerError(
    timedOut ? 'provider_unavailable' : 'provider_failed',
    timedOut
      ? `"${connection}" did not answer in time`
      : `the provider behind "${connection}" failed`,
    { hint: 'see broker daemon logs for the class of the error', cause: error },
  )
}
