import type { Health } from '../api/types.ts'
import type { Home } from '../lib/home.ts'
import { visible } from './terminal.ts'

/** Exactly what `daemon status --json` prints. */
export interface DaemonStatus {
  readonly running: boolean
  readonly pid: number | null
  readonly version: string | null
  readonly socket: string
  readonly home: string
}

export function statusOf(health: Health | null, home: Home): DaemonStatus {
  if (health === null) {
    return { running: false, pid: null, version: null, socket: home.socket, home: home.root }
  }
  const { pid, version, socket, home: root } = health
  return { running: true, pid, version, socket, home: root }
}

export function statusText({ running, pid, version, socket, home }: DaemonStatus): string[] {
  const places = [`socket ${visible(socket)}`, `home   ${visible(home)}`]
  if (!running) return ['not running', ...places]
  return [`running, pid ${pid}, version ${visible(version ?? 'unknown')}`, ...places]
}
