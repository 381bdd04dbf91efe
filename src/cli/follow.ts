import { setTimeout as sleep } from 'node:timers/promises'
import { clock } from './moments.ts'
import { screen } from './screen.ts'
import { jsonText, type Look, paint, print } from './terminal.ts'

const INTERVAL_MS = 1000

/** A list that changes. */
export interface Source<T> {
  /** What is in it now, in the order in which a pipe is to hear of it. */
  readonly fetch: () => Promise<readonly T[]>
  /** One of them, for the last word on one that is in the list no more. */
  readonly show: (id: string) => Promise<T>
}

/** How such a list looks. */
export interface Watched<T> {
  /** Stands above the list on a terminal. */
  readonly heading: (items: readonly T[]) => string
  /** The list on a terminal. */
  readonly rows: (items: readonly T[], now: number, look: Look) => readonly string[]
  /** For a pipe: one that is new, has changed or is gone. `at` is the moment. */
  readonly lines: (item: T, now: number, at: string) => readonly string[]
  /** What JSON calls one. */
  readonly key: string
  /** A pipe hears of it again when this has changed. */
  readonly version: (item: T) => string
}

interface Follower<T> {
  readonly show: (items: readonly T[], now: number) => Promise<void>
  readonly close: () => void
}

/** Follows a list until interrupted: redrawn on a terminal, else a line for each change. */
export async function follow<T extends { readonly id: string }>(
  source: Source<T>,
  watched: Watched<T>,
  look: Look,
  json: boolean,
): Promise<void> {
  const stop = new AbortController()
  const end = () => stop.abort()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  const { show, close } =
    look.terminal && !json ? redrawing(watched, look) : telling(source, watched, json)
  try {
    while (!stop.signal.aborted) {
      await show(await source.fetch(), Date.now())
      await sleep(INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => {})
    }
  } finally {
    close()
  }
}

function redrawing<T>({ heading, rows }: Watched<T>, look: Look): Follower<T> {
  const { draw, close } = screen()
  const show = async (items: readonly T[], now: number) => {
    const line = `${clock(new Date(now).toISOString(), now)} · ${heading(items)} · Ctrl-C ends`
    // The window may have been resized.
    const current = { ...look, columns: process.stdout.columns || look.columns }
    draw([paint(look, 'dim', line), '', ...rows(items, now, current)])
  }
  return { show, close }
}

function telling<T extends { readonly id: string }>(
  { show: last }: Source<T>,
  { lines, key, version }: Watched<T>,
  json: boolean,
): Follower<T> {
  let before = new Map<string, string>()
  const say = (item: T, now: number) => {
    const at = new Date(now).toISOString()
    print(json ? [jsonText({ at, [key]: item }, 0)] : lines(item, now, at))
  }
  const show = async (items: readonly T[], now: number) => {
    const current = new Map(items.map((item) => [item.id, version(item)]))
    for (const item of items) if (before.get(item.id) !== current.get(item.id)) say(item, now)
    for (const id of before.keys()) if (!current.has(id)) say(await last(id), now)
    before = current
  }
  return { show, close: () => {} }
}
