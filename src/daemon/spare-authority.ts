import type { Log } from '../broker/context.ts'
import type { CertificateAuthority } from '../proxy/certificates.ts'

/** Longer than any lease lives, by as long as one may lie ready. Milliseconds. */
const VALID_MS = 9 * 3_600_000
/** After the rush of a lease that begins. */
const REST_MS = 250

type Create = (name: string, now: Date, notAfter: Date) => Promise<CertificateAuthority>

/**
 * One certificate authority made ahead, for the next lease with a proxy: to make one takes longer than
 * everything else that such a lease needs here. Each is given out once. Its certificate is valid longer than the
 * lease, which nobody can use: the key goes with the lease, and no leaf is valid longer.
 */
export class SpareAuthority {
  readonly #create: Create
  readonly #now: () => number
  readonly #log: Log
  #ready: CertificateAuthority | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(create: Create, now: () => number, log: Log) {
    this.#create = create
    this.#now = now
    this.#log = log
  }

  get isReady(): boolean {
    return this.#ready !== undefined
  }

  /** Undefined if there is none that is valid until then. Another one is made before long. */
  take(notAfter: number): CertificateAuthority | undefined {
    const ready = this.#ready
    this.#ready = undefined
    this.refill()
    return ready && ready.notAfter.getTime() >= notAfter ? ready : undefined
  }

  /** Returns at once; may be repeated. */
  refill(): void {
    if (this.#ready === undefined) this.#timer ??= setTimeout(() => this.#make(), REST_MS).unref()
  }

  async #make(): Promise<void> {
    this.#timer = undefined
    const now = this.#now()
    try {
      this.#ready = await this.#create('task', new Date(now), new Date(now + VALID_MS))
    } catch (error) {
      this.#log.error('no certificate authority could be made ahead', error)
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#ready = undefined
  }
}
