import { Worker } from 'node:worker_threads'
import type { FromThread, Order, OrderEnd, RecorderStart } from './recorder-terms.ts'

/**
 * The store's second thread, which brings into the database what tasks' requests did: many small entries,
 * whose hashing and writing would take a good part of the thread that judges and forwards. The store
 * sees to it that nothing else writes while an order is under way.
 */
export class Recorder {
  readonly #thread: Worker
  readonly #begun: Promise<boolean>
  #lost: Error | undefined
  #waiting: PromiseWithResolvers<OrderEnd> | null = null

  /** `program`: the thread's file. */
  constructor(program: URL, start: RecorderStart) {
    this.#thread = new Worker(program, { workerData: start, name: 'recorder' })
    const begun = Promise.withResolvers<boolean>()
    this.#begun = begun.promise
    this.#thread.on('message', (message: FromThread) => {
      if (message === 'ready') begun.resolve(true)
      else this.#take(message)
    })
    const end = () => {
      begun.resolve(false)
      this.#end()
    }
    this.#thread.on('error', end)
    this.#thread.on('exit', end)
    // A daemon that is done does not stay for it: `close` is what waits.
    this.#thread.unref()
  }

  /** True as soon as it works; false when it never will. */
  begun(): Promise<boolean> {
    return this.#begun
  }

  /**
   * Carries out one order, none other being under way. Rejects only when the thread is gone: then nobody
   * knows whether it was committed, and nothing may be written behind it.
   */
  carryOut(order: Order): Promise<OrderEnd> {
    if (this.#lost) return Promise.reject(this.#lost)
    this.#waiting = Promise.withResolvers<OrderEnd>()
    this.#thread.ref()
    this.#thread.postMessage(order)
    return this.#waiting.promise
  }

  async close(): Promise<void> {
    if (this.#lost) return
    const ended = new Promise<void>((resolve) => this.#thread.once('exit', () => resolve()))
    this.#thread.ref()
    this.#thread.postMessage('close')
    await ended
  }

  #take(end: OrderEnd): void {
    this.#thread.unref()
    this.#waiting?.resolve(end)
    this.#waiting = null
  }

  #end(): void {
    this.#lost ??= new Error('the recorder’s thread has ended')
    this.#waiting?.reject(this.#lost)
    this.#waiting = null
  }
}
