import { setTimeout as sleep } from 'node:timers/promises'
import type { LeaseView } from '../api/types.ts'
import { leaseRows, NO_TOKENS } from './lease-text.ts'
import { clock } from './moments.ts'
import { screen } from './screen.ts'
import { jsonText, type Look, paint, print } from './terminal.ts'

const INTERVAL_MS = 1000

interface Watched {
  /** What is live now. */
  readonly fetch: () => Promise<readonly LeaseView[]>
  /** One lease, for the last word on one that is live no more. */
  readonly show: (id: string) => Promise<LeaseView>
}

/** Follows the live leases until interrupted: redrawn on a terminal, else a line for each change. */
export async function watch(watched: Watched, look: Look, json: boolean): Promise<void> {
  const stop = new AbortController()
  const end = () => stop.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  const { show, close } = look.terminal && !json ? redrawing(look) : following(watched, json, look)
  try {
    while (!stop.signal.aborted) {
      await show(await watched.fetch(), Date.now())
      await sleep(INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => {})
    }
  } finally {
    close()
  }
}

interface Follower {
  readonly show: (leases: readonly LeaseView[], now: number) => Promise<void>
  readonly close: () => void
}

function redrawing(look: Look): Follower {
  const { draw, close } = screen()
  const show = async (leases: readonly LeaseView[], now: number) => {
    const heading = `${clock(new Date(now).toISOString(), now)} · ${leases.length} live · Ctrl-C ends`
    const current = { ...look, columns: process.stdout.columns || look.columns }
    const body = leases.length === 0 ? NO_TOKENS : leaseRows(leases, now, current)
    draw([paint(look, 'dim', heading), '', ...body])
  }
  return { show, close }
}

function following(watched: Watched, json: boolean, look: Look): Follower {
  let before = new Map<string, string>()
  const say = (lease: LeaseView, now: number) => {
    const at = new Date(now).toISOString()
    if (json) print([jsonText({ at, lease }, 0)])
    else print(leaseRows([lease], now, { ...look, terminal: false }).map((row) => `${at}\t${row}`))
  }
  const show = async (leases: readonly LeaseView[], now: number) => {
    const current = new Map(leases.map((lease) => [lease.id, JSON.stringify(lease)]))
    for (const lease of leases) {
      if (before.get(lease.id) !== current.get(lease.id)) say(lease, now)
    }
    for (const id of before.keys()) if (!current.has(id)) say(await watched.show(id), now)
    before = current
  }
  return { show, close: () => {} }
}
