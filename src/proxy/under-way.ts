/**
 * What can be aborted at once. Places are used again, instead of a `Set` that is filled and emptied:
 * a table V8 has outgrown keeps pointing at the next one, so that with one of them everything that was
 * under way since would stay in memory until the next full collection, and be copied on the way there.
 */
export class UnderWay {
  readonly #places: (AbortController | undefined)[] = []
  readonly #free: number[] = []

  /** The place taken: to be left with `leave`, once. */
  enter(abort: AbortController): number {
    const place = this.#free.pop() ?? this.#places.length
    this.#places[place] = abort
    return place
  }

  leave(place: number): void {
    this.#places[place] = undefined
    this.#free.push(place)
  }

  abortAll(reason: unknown): void {
    for (const abort of this.#places) abort?.abort(reason)
  }
}
