import { TIMING } from '../core/deadlines.ts'
import type { EndReason, Lease } from '../core/lease.ts'
import type { LeaseId } from '../lib/ids.ts'
import { abandonPending } from './approval/lapse.ts'
import type { Context } from './context.ts'
import { revoke } from './revoke.ts'
import { unrecordedEnds } from './unrecorded.ts'

const BATCH = 2000
/** Revocations under way at once, over all connections; each connection's lane is narrower. */
const AT_ONCE = 256
/** How long one sweep may go on starting them: the tick after it must not have to wait. */
const SPAN_MS = TIMING.tickMs * 0.9
/** Between two tries to end what cannot be recorded. */
const UNRECORDED_MS = 30_000
/** Of one connection, so that a dead upstream cannot fill all places. */
const AT_ONCE_PER_CONNECTION = 32

/**
 * One tick: starts the revocation of every lease that is due (TTL reached, not acknowledged, mint
 * interrupted, retry due) and returns how many. Does not wait for them; but when more are due than
 * there are places, it goes on as places get free, for less than one tick. May be called at any time.
 */
export async function sweep(context: Context): Promise<number> {
  const span = AbortSignal.timeout(SPAN_MS)
  let started = startUnrecorded(context)
  for (;;) {
    const { count, full } = await startDue(context)
    started += count
    if (!full || !(await roomWithin(context, span))) return started
  }
}

/** Ends that a full disk kept from being recorded. Seldom before there is room: each try asks the provider again. */
function startUnrecorded(context: Context): number {
  const ends = unrecordedEnds(context)
  if (ends.size === 0) return 0
  const room = context.store.hasReserve()
  const before = context.now() - UNRECORDED_MS
  const ready = [...ends]
    .filter(([id, { triedAt }]) => !context.revoking.has(id) && (room || triedAt <= before))
    .slice(0, AT_ONCE)
  for (const [id, { reason, note }] of ready) {
    revoke(context, id, reason, note).catch((error: unknown) =>
      context.log.error('a revocation could not be recorded', error),
    )
  }
  return ready.length
}

async function startDue(context: Context): Promise<{ count: number; full: boolean }> {
  const now = context.now()
  const due = await context.store.read.due(now, BATCH)
  const deferred = new Map<number, LeaseId[]>()
  let count = 0
  let full = false
  for (const id of due) {
    if (context.revoking.has(id)) continue
    full = context.revoking.size >= AT_ONCE
    if (full) break
    const lease = await context.store.read.lease(id)
    if (!lease) continue
    const until = blockedUntil(context, lease)
    if (until === 0) {
      count++
      start(context, lease)
    } else if (until > now) deferred.set(until, [...(deferred.get(until) ?? []), id])
  }
  for (const [until, ids] of deferred)
    await context.store.write((writer) => writer.defer(ids, until))
  return { count, full }
}

/** Waits until half of the places are free. False when the span was over first. */
function roomWithin(context: Context, span: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (span.aborted) resolve(false)
    span.addEventListener('abort', () => resolve(false), { once: true })
    const look = () => {
      if (context.revoking.size <= AT_ONCE / 2) resolve(true)
    }
    for (const one of context.revoking.values()) one.then(look, look)
  })
}

function start(context: Context, lease: Lease): void {
  revoke(context, lease.id, reasonOf(lease, context.now())).catch((error: unknown) =>
    context.log.error('a revocation could not be recorded', error),
  )
}

function reasonOf(lease: Lease, now: number): EndReason {
  if (lease.endReason) return lease.endReason
  if (lease.state === 'minting') return 'mint_unknown'
  if (now >= lease.expiresAt) return 'ttl'
  return lease.deliveredAt === null ? 'not_acknowledged' : 'ttl'
}

/** 0: go. A time: the upstream is known to be down till then. 1: its places are taken, next tick. */
function blockedUntil(context: Context, lease: Lease): number {
  // A first attempt is never put off: `begin` has to be recorded even while the upstream is down.
  if (lease.state === 'active' || lease.state === 'minting') return 0
  for (const grant of lease.grants) {
    const lane = grant.connection === null ? undefined : context.lanes.get(grant.connection)
    if (!lane) continue
    if (lane.closedUntil() > 0) return lane.closedUntil()
    if (lane.load() >= AT_ONCE_PER_CONNECTION) return 1
  }
  return 0
}

/**
 * After a start: everything a crash interrupted is taken up at once, whatever its next try was.
 * Minting ones are cleaned up, never minted again. Call it before serving.
 */
export async function recover(context: Context): Promise<number> {
  let count = 0
  for (let after = ''; ; ) {
    const ids = await context.store.read.unsettled(BATCH, after)
    const last = ids.at(-1)
    if (last === undefined) return count
    count += ids.length
    after = last
    await context.store.write((writer) => writer.defer(ids, context.now()))
  }
}

/** Sessions of an earlier daemon run that did not come back within their grace. */
export async function endLostSessions(context: Context): Promise<number> {
  let count = 0
  for (;;) {
    const ids = await context.store.read.heldByOthers(context.bootId, AT_ONCE)
    const fresh = ids.filter((id) => !context.revoking.has(id))
    if (fresh.length === 0) return count
    count += fresh.length
    await Promise.all(
      fresh.map((id) => revoke(context, id, 'task_ended', 'the session did not come back')),
    )
  }
}

/**
 * After a start: leases whose proxies were in the process before. What their tasks hold leads
 * nowhere any more, so they end. Returns when each is at least on its way: recorded before anything
 * that a reconnecting session asks for.
 */
export async function endLostProxies(context: Context): Promise<number> {
  let count = 0
  for (;;) {
    const ids = await context.store.read.activeProxied(AT_ONCE)
    const fresh = ids.filter((id) => !context.revoking.has(id))
    if (fresh.length === 0) return count
    count += fresh.length
    for (const id of fresh) {
      revoke(context, id, 'proxy_lost', 'its proxy ended with the daemon').catch((error: unknown) =>
        context.log.error('a revocation could not be recorded', error),
      )
    }
  }
}

/**
 * After a start: leases that waited for a person. Whoever asked for them went with the process before
 * and does not come back, so nobody should be asked to decide them. Returns how many.
 */
export async function endLostQuestions(context: Context): Promise<number> {
  const open = await context.store.read.lapsedApprovals(Number.MAX_SAFE_INTEGER, BATCH)
  const waiting = open.filter(({ kind }) => kind === 'lease')
  for (const { lease } of waiting) {
    await abandonPending(context, lease, 'lapsed', 'the daemon went away while it waited')
  }
  return waiting.length
}

/** How far the two clocks ran apart since the last look, in milliseconds; positive: the wall clock is ahead. */
export class Drift {
  #wall: number
  #monotonic: number

  constructor(wall: number, monotonic: number) {
    this.#wall = wall
    this.#monotonic = monotonic
  }

  /** 0 while they agree to within two seconds. */
  look(wall: number, monotonic: number): number {
    const drift = wall - this.#wall - (monotonic - this.#monotonic)
    this.#wall = wall
    this.#monotonic = monotonic
    return Math.abs(drift) > TIMING.driftMs ? drift : 0
  }
}

/**
 * The clocks ran apart. Forward: we slept, or the clock was corrected; time has passed for
 * everybody, so deadlines stand. Backward: a stored deadline would now come later than promised,
 * so every live one moves back with the clock. A lease never gains time from a clock.
 */
export async function afterDrift(context: Context, drift: number): Promise<void> {
  context.log.warn('the clock jumped', { milliseconds: drift })
  await context.store.write(async (writer) => {
    if (drift < 0) await writer.shiftDeadlines(drift)
    await writer.append({ type: 'clock.jumped', lease: null, data: { milliseconds: drift } })
  })
}

/**
 * The newest entry was written before now, or the clock was set back while nobody was there: by how
 * much at least, it tells.
 */
export async function catchUpWithClock(context: Context): Promise<void> {
  const head = await context.store.read.head()
  const behind = head ? context.now() - Date.parse(head.at) : 0
  if (behind < -TIMING.driftMs) await afterDrift(context, behind)
}
