import type { DaemonFrame } from '../api/session.ts'
import { errorFrom, garbled, silent } from './failure.ts'

export type Frame<T extends DaemonFrame['type']> = Extract<DaemonFrame, { type: T }>

/** Somebody waits for one frame. Settles once; what comes later changes nothing. */
export interface FrameWait<T extends DaemonFrame['type'] = DaemonFrame['type']> {
  readonly frame: Promise<Frame<T>>
  /** Frames of other types are passed over; an `error` frame rejects with the daemon's error. */
  take(frame: DaemonFrame): void
  fail(error: Error): void
}

/** Rejects with `daemon_unreachable` after `timeoutMs`, if given. */
export function waitFor<T extends DaemonFrame['type']>(type: T, timeoutMs?: number): FrameWait<T> {
  const { promise, resolve, reject } = Promise.withResolvers<Frame<T>>()
  // Whoever gave up before it settled is not listening any more; that is no unhandled failure.
  promise.catch(() => {})
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => reject(silent(timeoutMs)), timeoutMs)
  return {
    frame: promise,
    take: (frame) => {
      if (frame.type !== type && frame.type !== 'error') return
      clearTimeout(timer)
      if (frame.type === type) resolve(frame as Frame<T>)
      else reject(errorFrom(frame) ?? garbled())
    },
    fail: (error) => {
      clearTimeout(timer)
      reject(error)
    },
  }
}
