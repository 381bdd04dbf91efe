import type { DaemonFrame } from '../api/session.ts'

/** A frame holds a lease's variables; longer than this it is none. */
const LONGEST_LINE = 8 * 1024 * 1024

/** Text into frames, one JSON object a line. */
export class FrameReader {
  readonly #frame: (frame: DaemonFrame) => void
  #rest = ''

  constructor(frame: (frame: DaemonFrame) => void) {
    this.#frame = frame
  }

  /** False when what comes is not the protocol: the line is then worth nothing. */
  take(text: string): boolean {
    this.#rest += text
    for (let at = this.#rest.indexOf('\n'); at >= 0; at = this.#rest.indexOf('\n')) {
      const frame = frameOf(this.#rest.slice(0, at))
      this.#rest = this.#rest.slice(at + 1)
      if (frame === undefined) return false
      this.#frame(frame)
    }
    return this.#rest.length < LONGEST_LINE
  }
}

function frameOf(line: string): DaemonFrame | undefined {
  try {
    const frame: unknown = JSON.parse(line)
    const typed = typeof frame === 'object' && frame !== null && 'type' in frame
    return typed ? (frame as DaemonFrame) : undefined
  } catch {
    return undefined
  }
}
