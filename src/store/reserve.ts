import { closeSync, fsyncSync, openSync, statSync, unlinkSync, writeSync } from 'node:fs'

const SIZE = 2 * 1024 * 1024

/** Nobody but us gives it up; that somebody deleted it is noticed this much later. Milliseconds. */
const TRUSTED_MS = 1000

/**
 * Room on the disk that is kept for ending leases: a file that is given up when a revocation finds
 * the disk full. While it is missing nothing may be minted, because what could not be recorded as
 * ended must not be begun.
 */
export class Reserve {
  readonly #path: string
  #seenAt = Number.NEGATIVE_INFINITY

  constructor(path: string) {
    this.#path = path
  }

  /** Takes the room if it is not held. True when it is. May be repeated. */
  take(): boolean {
    if (this.isHeld()) return true
    try {
      const fd = openSync(this.#path, 'w', 0o600)
      try {
        // Random bytes are not needed, but real ones are: a hole in a sparse file reserves nothing.
        const block = Buffer.alloc(64 * 1024, 0x2e)
        for (let written = 0; written < SIZE; ) written += writeSync(fd, block)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      return true
    } catch {
      this.giveUp()
      return false
    }
  }

  isHeld(): boolean {
    // Asked before every request of a task.
    if (performance.now() - this.#seenAt < TRUSTED_MS) return true
    const held = (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) >= SIZE
    if (held) this.#seenAt = performance.now()
    return held
  }

  /** Frees the room. True if there was any. */
  giveUp(): boolean {
    this.#seenAt = Number.NEGATIVE_INFINITY
    try {
      unlinkSync(this.#path)
      return true
    } catch {
      return false
    }
  }
}
