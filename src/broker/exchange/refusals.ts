import type { NewEntry } from '../../audit/entry.ts'
import { networkOf } from '../../lib/addresses.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Store } from '../../store/store.ts'
import type { Log } from '../context.ts'
import { Bucket } from './bucket.ts'

/** From one network: so many entries at once, then one a second. */
const AT_ONCE = 30
const PER_SECOND = 1
/** From all of them together. */
const ALL_AT_ONCE = 300
const ALL_PER_SECOND = 2
/** Networks that are told apart; what the oldest had left over is counted with others. */
const MAX_SOURCES = 4096
/** Between two entries that only count. Milliseconds. */
const SUMMARY_MS = 60_000
const SUMMARY_SOURCES = 20

interface Source {
  readonly bucket: Bucket
  left: number
}

export interface RefusalsOptions {
  readonly store: Pick<Store, 'write'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: Log
}

/**
 * The way of refusals into the audit log. Anybody on the network can cause them, so they must not be
 * able to fill the disk: what is more than a person would read is counted, and the count is written.
 * Holds a bounded number of sources in memory.
 */
export class Refusals {
  readonly #options: RefusalsOptions
  readonly #sources = new Map<string, Source>()
  readonly #all: Bucket
  /** Left over by sources that are not told apart any more. */
  #others = 0
  #summarisedAt = Number.NEGATIVE_INFINITY

  constructor(options: RefusalsOptions) {
    this.#options = options
    this.#all = new Bucket(ALL_AT_ONCE, ALL_PER_SECOND, options.now())
  }

  /**
   * Records one refusal, or counts it. `source`: the address it came from, or whatever else a flood would
   * come from. Never throws: who is refused is refused, also when it cannot be recorded.
   */
  async note(source: string, entry: NewEntry): Promise<void> {
    const now = this.#options.now()
    const from = this.#sourceOf(networkOf(source), now)
    // Its own first: what one source has too many of is not taken from the others.
    if (from.bucket.take(now) && this.#all.take(now)) return this.#write(entry)
    from.left++
  }

  /** Called every tick: writes what was only counted, at most once a minute; `now`: at once. */
  async flush(when: 'in turn' | 'now' = 'in turn'): Promise<void> {
    const now = this.#options.now()
    const waited = Math.abs(now - this.#summarisedAt) >= SUMMARY_MS
    if (when === 'in turn' && !waited) return
    const sources = [...this.#sources].filter(([, { left }]) => left > 0)
    const count = sources.reduce((sum, [, { left }]) => sum + left, this.#others)
    if (count === 0) return
    this.#summarisedAt = now
    const most = sources.sort(([, a], [, b]) => b.left - a.left).slice(0, SUMMARY_SOURCES)
    const data: JsonObject = {
      reason: 'many',
      count,
      networks: sources.length,
      most: most.map(([network, { left }]) => ({ network, count: left })),
    }
    for (const [, source] of sources) source.left = 0
    this.#others = 0
    await this.#write({ type: 'exchange.refused', lease: null, data })
  }

  #sourceOf(network: string, now: number): Source {
    const known = this.#sources.get(network)
    // Back at the end: the first of the map is the one that was silent longest.
    if (known) this.#sources.delete(network)
    else if (this.#sources.size >= MAX_SOURCES) this.#dropOldest()
    const source = known ?? { bucket: new Bucket(AT_ONCE, PER_SECOND, now), left: 0 }
    this.#sources.set(network, source)
    return source
  }

  #dropOldest(): void {
    for (const [network, { left }] of this.#sources) {
      this.#others += left
      this.#sources.delete(network)
      return
    }
  }

  async #write(entry: NewEntry): Promise<void> {
    const { store, log } = this.#options
    await store
      .write((writer) => writer.append(entry))
      .catch((error: unknown) => log.error('a refusal could not be recorded', error))
  }
}
