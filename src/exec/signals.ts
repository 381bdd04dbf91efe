import { constants } from 'node:os'
import { monotonic } from '../client/monotonic.ts'
import { type Child, FORWARDED } from '../launch/child.ts'

/** After the child's end, what ended it may still be on its way to us. */
const SAME_KEY_MS = 500
const STOP = 'SIGTSTP'

/**
 * What a signal to us means, which depends on how far we are: before the child it ends us (and with
 * us the lease); then it is the child's; after the child it ends the wait for the confirmation. While
 * the child is being started it may be running already: the first signal is kept for it.
 */
export class Signals {
  #child: Child | undefined
  #isStarting = false
  #kept: NodeJS.Signals | undefined
  #endedAt: number | undefined
  #cut: () => void = () => {}
  /** Resolves when the person does not want to wait for the revocation. */
  readonly cut: Promise<void>

  constructor() {
    this.cut = new Promise((resolve) => {
      this.#cut = resolve
    })
  }

  listen(): void {
    for (const signal of FORWARDED) listen(signal, () => this.#take(signal))
    // Waiting for the lease, Ctrl-Z stops us as it would anyone; the child is stopped beside us.
    listen(STOP, () => this.#stop())
  }

  childStarting(): void {
    this.#isStarting = true
  }

  childStarted(child: Child): void {
    this.#child = child
    // Not `forward`: also what was typed came before the child was there to hear it.
    if (this.#kept !== undefined) child.kill(this.#kept)
  }

  /** Asked to end while the child was being started, which then failed. */
  get endedStarting(): NodeJS.Signals | undefined {
    return this.#kept
  }

  childEnded(): void {
    this.#endedAt = monotonic()
  }

  #take(signal: NodeJS.Signals): void {
    const ends = signal !== 'SIGWINCH' && signal !== 'SIGCONT'
    if (this.#endedAt !== undefined) {
      // The Ctrl-C that ended the child reached us as well; only another one is meant for us.
      if (ends && monotonic() - this.#endedAt > SAME_KEY_MS) this.#cut()
    } else if (this.#child !== undefined) this.#child.forward(signal)
    else if (ends && this.#isStarting && this.#kept === undefined) this.#kept = signal
    // A second one is for us: what does not start is not waited for.
    else if (ends) process.exit(128 + constants.signals[signal])
  }

  /** Stops the child, then ourselves in the default way, so that the shell sees a job it can resume. */
  #stop(): void {
    this.#child?.forward(STOP)
    process.removeAllListeners(STOP)
    process.kill(process.pid, STOP)
    listen(STOP, () => this.#stop())
  }
}

function listen(signal: NodeJS.Signals, act: () => void): void {
  try {
    process.on(signal, act)
  } catch {
    // Not every system has every signal.
  }
}
