/** How long an answer may be used again where nothing irrevocable depends on it. */
const MAX_AGE_MS = 60_000
const MOST = 64

export interface Reading<T> {
  readonly value: T
  /** True: its loading began after the question. */
  readonly fresh: boolean
}

interface Loaded<T> {
  readonly value: T
  /** When the loading began, milliseconds since the epoch. */
  readonly at: number
}

export interface Reader {
  readonly now: () => number
  /** Nothing that was loaded before this question will do. */
  readonly fresh: boolean
}

interface Entry<T> {
  /** The last one that succeeded. */
  last: Loaded<T> | null
  running: Promise<Loaded<T>> | null
  /** Starts when `running` is over, for those who may not use that one. */
  next: Promise<Loaded<T>> | null
}

/**
 * Answers by key, each loaded by one call at a time. Who needs a fresh one is never given one whose
 * loading began before the question, and waits at most for that one and its own.
 */
export class Lookups<T> {
  readonly #entries = new Map<string, Entry<T>>()

  /** Throws what `load` throws; failures are not remembered. */
  async read(key: string, load: () => Promise<T>, { now, fresh }: Reader): Promise<Reading<T>> {
    const entry = this.#entry(key)
    const { last, running } = entry
    if (!fresh && last && isRecent(last, now())) return { value: last.value, fresh: false }
    if (!fresh && running) return { value: (await running).value, fresh: false }
    const { value } = await (entry.next ?? begin(entry, load, now))
    return { value, fresh: true }
  }

  clear(): void {
    this.#entries.clear()
  }

  #entry(key: string): Entry<T> {
    const known = this.#entries.get(key)
    const entry = known ?? { last: null, running: null, next: null }
    // Taken out and put back: the first one in the map is then the one not used for longest.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    for (const [each, { running, next }] of this.#entries) {
      if (this.#entries.size <= MOST) break
      if (!running && !next && each !== key) this.#entries.delete(each)
    }
    return entry
  }
}

/** A clock that was set back makes an answer look younger than none: then it counts as old. */
function isRecent({ at }: Loaded<unknown>, now: number): boolean {
  const age = now - at
  return age >= 0 && age < MAX_AGE_MS
}

/** At once, or after the one that runs. */
function begin<T>(entry: Entry<T>, load: () => Promise<T>, now: () => number): Promise<Loaded<T>> {
  if (!entry.running) return start(entry, load, now)
  entry.next = entry.running
    .catch(() => {})
    .then(() => {
      entry.next = null
      return start(entry, load, now)
    })
  return entry.next
}

async function start<T>(
  entry: Entry<T>,
  load: () => Promise<T>,
  now: () => number,
): Promise<Loaded<T>> {
  const at = now()
  const running = load().then((value) => ({ value, at }))
  entry.running = running
  try {
    const loaded = await running
    entry.last = loaded
    return loaded
  } finally {
    entry.running = null
  }
}
