/**
 * One at a time for each key. Requests that depend on a look-up take a turn from the look-up to the
 * end of the call, so that no other lease of this broker moves what was looked at in between.
 */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /** Waits for the turn. Call what it resolves to exactly when done; more often does nothing. */
  async take(key: string, signal: AbortSignal): Promise<() => void> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    const mine = before.then(() => promise)
    this.#last.set(key, mine)
    // Only when everyone before is done too: whoever comes next has to find the last one waiting.
    mine.then(() => {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    })
    try {
      await unlessAborted(before, signal)
    } catch (error) {
      // Whoever comes behind waits for those before us, not for us.
      resolve()
      throw error
    }
    return resolve
  }
}

function unlessAborted(wait: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    wait.then(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
  })
}
