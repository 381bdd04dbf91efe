import type { Log } from '../../broker/context.ts'
import { type Certificate, readCertificate, stampOf } from './certificate.ts'
import type { ServeSettings } from './settings.ts'

const LOOK_MS = 60_000

export interface RenewalTerms {
  readonly files: NonNullable<ServeSettings['tls']>
  readonly current: Certificate
  readonly take: (certificate: Certificate) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly log: Log
  readonly everyMs?: number
}

/** Takes up a renewed certificate: when told to, and by itself within a minute of a change. */
export class Renewal {
  readonly #terms: RenewalTerms
  readonly #timer: NodeJS.Timeout
  /** Of the files as last looked at, good or not: a broken one is said once. */
  #stamp: string

  constructor(terms: RenewalTerms) {
    this.#terms = terms
    this.#stamp = terms.current.stamp
    this.#timer = setInterval(() => this.#look(), terms.everyMs ?? LOOK_MS)
    this.#timer.unref()
  }

  /** Reads the files again. Never throws: what is not good leaves the old one in use, and is logged. */
  renew(): void {
    const { files, take, now, log } = this.#terms
    this.#stamp = stampOf(files)
    try {
      const certificate = readCertificate(files, now())
      take(certificate)
      this.#stamp = certificate.stamp
      log.info('certificate taken up', { notAfter: new Date(certificate.notAfter).toISOString() })
      for (const warning of certificate.warnings) log.warn(warning)
    } catch (error) {
      log.error('the certificate stays as it was', error)
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    if (stampOf(this.#terms.files) !== this.#stamp) this.renew()
  }
}
