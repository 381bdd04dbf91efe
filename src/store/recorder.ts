import { Worker } from 'node:worker_threads'
import type { Batch, BatchEnd, FromThread, RecorderStart } from './recorder-terms.ts'

/**
 * The store's second thread, which records what tasks' requests did: many small entries, whose
 * hashing, writing and waiting for the disk would take a good part of the thread that judges and
 * forwards. The store sees to it that nothing else writes while a batch is under way.
 */
export class Recorder {
  readonly #thread: Worker
  #ready = false
  #lost: Error | undefined
  #waiting: PromiseWithResolvers<BatchEnd>[] = []

  /** `program`: the thread's file. It is ready a moment later. */
  constructor(program: URL, start: RecorderStart) {
    this.#thread = new Worker(program, { workerData: start, name: 'recorder' })
    this.#thread.on('message', (message: FromThread) => this.#take(message))
    this.#thread.on('error', () => this.#end())
    this.#thread.on('exit', () => this.#end())
    // A daemon that is done does not stay for it: `close` is what waits.
    this.#thread.unref()
  }

  get isReady(): boolean {
    return this.#ready
  }

  /** Batches that were sent and whose end is not known yet. */
  get isBusy(): boolean {
    return this.#waiting.length > 0
  }

  /**
   * Commits the batch, behind those that are under way. Rejects only when the thread is gone: then nobody
   * knows whether it was committed, and nothing may be written behind it.
   */
  commit(batch: Batch): Promise<BatchEnd> {
    if (this.#lost) return Promise.reject(this.#lost)
    const waiting = Promise.withResolvers<BatchEnd>()
    this.#waiting.push(waiting)
    this.#thread.ref()
    this.#thread.postMessage(batch)
    return waiting.promise
  }

  async close(): Promise<void> {
    if (this.#lost) return
    const ended = new Promise<void>((resolve) => this.#thread.once('exit', () => resolve()))
    this.#thread.ref()
    this.#thread.postMessage('close')
    await ended
  }

  #take(message: FromThread): void {
    if (message === 'ready') {
      this.#ready = true
      return
    }
    for (const end of message) this.#waiting.shift()?.resolve(end)
    if (!this.isBusy) this.#thread.unref()
  }

  #end(): void {
    this.#ready = false
    this.#lost ??= new Error('the recorder’s thread has ended')
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#lost)
  }
}
