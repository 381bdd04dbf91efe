import { setTimeout as sleep } from 'node:timers/promises'
import type { ApprovalView } from '../api/types.ts'
import { approvalRows, NO_APPROVALS } from './approval-text.ts'
import { clock } from './moments.ts'
import { screen } from './screen.ts'
import { jsonText, type Look, paint, print, visible } from './terminal.ts'

const INTERVAL_MS = 1000

interface Watched {
  readonly fetch: () => Promise<readonly ApprovalView[]>
  /** One of them, for the last word on one that waits no more. */
  readonly show: (id: string) => Promise<ApprovalView>
}

/** Follows what waits until interrupted: redrawn on a terminal, else a line for each change. */
export async function watchApprovals(watched: Watched, look: Look, json: boolean): Promise<void> {
  const stop = new AbortController()
  const end = () => stop.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  const { show, close } = look.terminal && !json ? redrawing(look) : following(watched, json)
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
  readonly show: (approvals: readonly ApprovalView[], now: number) => Promise<void>
  readonly close: () => void
}

function redrawing(look: Look): Follower {
  const { draw, close } = screen()
  const show = async (approvals: readonly ApprovalView[], now: number) => {
    const heading = `${clock(new Date(now).toISOString(), now)} · ${approvals.length} waiting · broker approve ID · Ctrl-C ends`
    const current = { ...look, columns: process.stdout.columns || look.columns }
    const body = approvals.length === 0 ? NO_APPROVALS : approvalRows(approvals, now, current)
    draw([paint(look, 'dim', heading), '', ...body])
  }
  return { show, close }
}

function following(watched: Watched, json: boolean): Follower {
  let before = new Set<string>()
  const say = (approval: ApprovalView, now: number) => {
    const at = new Date(now).toISOString()
    if (json) return print([jsonText({ at, approval }, 0)])
    const { id, state, lease, summary } = approval
    print([[at, id, state, lease, summary].map(visible).join('\t')])
  }
  const show = async (approvals: readonly ApprovalView[], now: number) => {
    const current = new Set(approvals.map(({ id }) => id))
    for (const approval of approvals.toReversed()) if (!before.has(approval.id)) say(approval, now)
    for (const id of before) if (!current.has(id)) say(await watched.show(id), now)
    before = current
  }
  return { show, close: () => {} }
}
