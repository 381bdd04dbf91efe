import type { Way } from './terms.ts'

/** Act three, where this machine builds walls. */
export interface Around {
  /** The task behind the walls. */
  readonly lease: string
  readonly ways: readonly WayResult[]
  readonly bare: Bare
  readonly walled: Walled
}

/** With a clean environment alone. */
export interface Bare {
  readonly seconds: number
  readonly lost: readonly string[]
}

export interface Walled {
  /** As the broker has it. */
  readonly level: string
  /** Something that it sent arrived at the cloud. */
  readonly reachedCloud: boolean
  readonly productionIntact: boolean
}

export interface WayResult {
  readonly way: Way
  /** With a clean environment alone; null: it got there. */
  readonly bare: string | null | undefined
  /** Behind the walls; undefined: it was not tried. */
  readonly walled: string | null | undefined
}

/** This machine builds no such walls. */
export interface LeftOut {
  readonly reason: string
  readonly hint: string
}

export type ThirdAct = Around | { readonly leftOut: LeftOut }

/**
 * How each way has to end. Without walls all but the last get there, else it would prove nothing that
 * they fail with them; and there each fails for its own reason, since any other would be luck.
 */
export const ENDS: Readonly<Record<Way, { bare: string | null; walled: string }>> = {
  'home-file': { bare: null, walled: 'ENOENT' },
  'env-file': { bare: null, walled: 'EMPTY' },
  shell: { bare: null, walled: 'NO_KEY' },
  'operator-key': { bare: null, walled: 'ENOENT' },
  socket: { bare: null, walled: 'ENOENT' },
  unset: { bare: null, walled: 'ECONNREFUSED' },
  address: { bare: null, walled: 'ECONNREFUSED' },
  proxy: { bare: 'foreign_credential', walled: 'foreign_credential' },
}

/** A level that was reached held, or there was none to reach. */
export function thirdActHolds(act: ThirdAct): boolean {
  if ('leftOut' in act) return true
  const { walled } = act
  return (
    wasOpen(act) &&
    areShut(act) &&
    walled.level === 'confine' &&
    walled.productionIntact &&
    !walled.reachedCloud
  )
}

/** Without walls the agent had it all. */
export function wasOpen({ ways, bare }: Around): boolean {
  return bare.lost.length > 0 && all(ways, (each) => each.bare === ENDS[each.way].bare)
}

export function areShut({ ways }: Around): boolean {
  return all(ways, (each) => each.walled === ENDS[each.way].walled)
}

function all(ways: readonly WayResult[], ended: (each: WayResult) => boolean): boolean {
  const tried = new Set(ways.map(({ way }) => way))
  return tried.size === Object.keys(ENDS).length && ways.every(ended)
}
