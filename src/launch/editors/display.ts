import { isAbsolute, join } from 'node:path'

export type Display =
  /** To be let in (`IsolationFacts.sockets`), with the variable that names it. */
  | { readonly kind: 'wayland'; readonly socket: string; readonly variables: Variables }
  /** No boundary: whoever may show a window there may type into all others. */
  | { readonly kind: 'x11'; readonly reason: string }
  | { readonly kind: 'none'; readonly reason: string }

type Variables = Readonly<Record<string, string>>

/**
 * Where an editor could show its window from behind a mask (Linux). Only Wayland keeps its programs
 * apart from each other; with X11 an editor runs at `scrub`, or not at all. Pure.
 */
export function displayOf(environment: Readonly<Record<string, string | undefined>>): Display {
  const name = environment['WAYLAND_DISPLAY']
  const runtime = environment['XDG_RUNTIME_DIR']
  if (name !== undefined && (isAbsolute(name) || runtime !== undefined)) {
    const socket = isAbsolute(name) ? name : join(runtime ?? '', name)
    // Whole, so that it is found wherever the runtime folder is inside.
    const variables = { WAYLAND_DISPLAY: socket, ELECTRON_OZONE_PLATFORM_HINT: 'wayland' }
    return { kind: 'wayland', socket, variables }
  }
  if (environment['DISPLAY'] !== undefined) {
    return {
      kind: 'x11',
      reason: 'its window needs X11, and every program there can type into every other',
    }
  }
  return { kind: 'none', reason: 'there is no display to show its window on' }
}
