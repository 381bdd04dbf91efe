import { late, MARGIN_MS } from './deadline.ts'

/**
 * Until when one question of the engine has to be answered. Nearly all are answered without waiting
 * for anybody, so the timer and the signal are made for those that do wait.
 */
export class InTime {
  /** The engine's own: the client has gone or the lease has ended. */
  readonly asked: AbortSignal
  readonly #due: number
  #abort: AbortController | undefined
  #timer: NodeJS.Timeout | undefined

  /** `judgeMs`: how long the engine waits. */
  constructor(asked: AbortSignal, judgeMs: number) {
    this.asked = asked
    this.#due = performance.now() + judgeMs - MARGIN_MS
  }

  /** Fires with the engine's reason, or when it is too late. */
  get signal(): AbortSignal {
    if (this.#abort) return this.#abort.signal
    this.#abort = new AbortController()
    const { signal } = this.#abort
    if (this.asked.aborted) this.#gone()
    else this.asked.addEventListener('abort', this.#gone, { once: true })
    this.#timer = setTimeout(() => this.#abort?.abort(late()), this.#due - performance.now())
    return signal
  }

  /** Throws the reason for which nobody waits for the answer any more. */
  throwIfOver(): void {
    this.asked.throwIfAborted()
    this.#abort?.signal.throwIfAborted()
    if (performance.now() >= this.#due) throw late()
  }

  /** The answer is there. */
  end(): void {
    if (!this.#abort) return
    clearTimeout(this.#timer)
    this.asked.removeEventListener('abort', this.#gone)
  }

  readonly #gone = () => this.#abort?.abort(this.asked.reason)
}
