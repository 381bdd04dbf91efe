import { X509Certificate } from 'node:crypto'
import type { Context, Log } from '../../broker/context.ts'
import type { Lease } from '../../core/lease.ts'
import type { Verification } from '../../core/subject.ts'
import type { TrustedIssuers } from '../../core/trust/trusted.ts'
import { BrokerError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import { type Answering, answering, type Lent } from './answering.ts'
import { readCertificate, readPem } from './certificate.ts'
import { Front } from './front.ts'
import { LIMITS, type ServeLimits } from './limits.ts'
import { Renewal } from './renewal.ts'
import type { ServeSettings } from './settings.ts'
import { SubjectVerifier } from './verify-subject.ts'

/** For requests under way when we stop. */
const DRAIN_MS = 10_000

export interface RemoteTerms {
  readonly settings: ServeSettings
  readonly limits: Partial<ServeLimits>
  readonly log: Log
}

/** Who may be asked for identity tokens' keys, and who could not be. */
export interface IssuersAsked {
  readonly trusted: readonly string[]
  /** Issuer → why not. */
  readonly failed: ReadonlyMap<string, string>
}

/** The part of `broker serve` that the network sees, beside the daemon of a home. */
export class Remote {
  readonly #terms: RemoteTerms
  readonly #limits: ServeLimits
  readonly #front: Front
  readonly #renewal: Renewal | null
  readonly #verifier: SubjectVerifier
  #answering: Answering | null = null

  /**
   * Reads the files and takes the port, so that what is wrong with either is said before anything is
   * opened. Throws `config_invalid`, `usage`, `conflict`.
   */
  static async open(terms: RemoteTerms): Promise<Remote> {
    const { settings, log } = terms
    const limits = { ...LIMITS, ...terms.limits }
    const certificate = settings.tls && readCertificate(settings.tls, Date.now())
    for (const warning of certificate?.warnings ?? []) log.warn(warning)
    const verifier = new SubjectVerifier({
      ca: readRoots(settings.issuerCaFile),
      privateAddresses: settings.privateIssuers,
      plainLoopback: plainLoopback(settings),
      now: Date.now,
    })
    let told = () => {}
    const front = await Front.open({ settings, certificate, limits, onRefused: () => told() })
    const renewal =
      settings.tls &&
      certificate &&
      new Renewal({
        files: settings.tls,
        current: certificate,
        take: (renewed) => front.renew(renewed),
        now: Date.now,
        log,
      })
    const remote = new Remote(terms, limits, front, renewal, verifier)
    told = () => remote.#answering?.metrics.turnedAway('connection')
    return remote
  }

  private constructor(
    terms: RemoteTerms,
    limits: ServeLimits,
    front: Front,
    renewal: Renewal | null,
    verifier: SubjectVerifier,
  ) {
    this.#terms = terms
    this.#limits = limits
    this.#front = front
    this.#renewal = renewal
    this.#verifier = verifier
  }

  get publicUrl(): string {
    return this.#terms.settings.publicUrl
  }

  /** For compiling trust rules. */
  get trustTerms() {
    return { ours: this.publicUrl, plainLoopback: plainLoopback(this.#terms.settings) }
  }

  verify(token: Secret, trusted: TrustedIssuers): Promise<Verification> {
    return this.#verifier.verify(token, trusted)
  }

  /** From here on requests are answered. */
  async serve(lent: Lent): Promise<void> {
    this.#answering = await answering(lent, this.#limits, this.#front.connections)
    this.#front.serve(this.#answering.answer, this.#answering.upgrade)
  }

  /**
   * Asks all issuers that are trusted now, so that the first token need not wait, and logs them: at the start and
   * whenever templates were applied. Never throws.
   */
  async warm(context: Context): Promise<IssuersAsked> {
    const { log } = this.#terms
    try {
      const { trust } = await context.policy()
      for (const { template, rule, message } of trust.unusable) {
        log.warn('a rule lets nobody in', { template, rule, message })
      }
      const failed = await this.#verifier.warm(trust.issuers)
      for (const [issuer, why] of failed) log.warn('an issuer could not be asked', { issuer, why })
      const trusted = [...trust.issuers.keys()]
      log.info('issuers', { trusted: trusted.join(' '), failed: [...failed.keys()].join(' ') })
      return { trusted, failed }
    } catch (error) {
      log.error('the issuers could not be asked', error)
      return { trusted: [], failed: new Map() }
    }
  }

  renewCertificate(): void {
    this.#renewal?.renew()
  }

  /** First of all when a lease begins to end. */
  ending(lease: Lease): void {
    this.#answering?.relay.ending(lease)
    this.#answering?.metrics.ending(lease)
  }

  /** Takes nothing new, and lets what is under way finish. */
  async drain(): Promise<void> {
    await this.#front.drain(DRAIN_MS)
  }

  /** After `drain`, or when nothing was served. */
  async close(): Promise<void> {
    this.#renewal?.close()
    this.#answering?.relay.close()
    await this.#front.drain(0)
    await this.#verifier.close()
    this.#answering?.metrics.close()
  }
}

/** Plain http to an issuer, where this server is one for trying things on one machine. */
function plainLoopback(settings: ServeSettings): boolean {
  return settings.tls === null && settings.privateIssuers
}

function readRoots(file: string | null): string | null {
  if (file === null) return null
  const text = readPem(file).toString()
  try {
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*(-----END CERTIFICATE-----)?/g) ?? []
    // Each of them: TLS itself would leave out in silence what is cut off or garbled.
    for (const block of blocks) new X509Certificate(block)
    if (blocks.length > 0) return text
  } catch (cause) {
    throw noRoots(file, cause)
  }
  throw noRoots(file)
}

function noRoots(file: string, cause?: unknown): BrokerError {
  return new BrokerError('config_invalid', `"${file}" holds no certificates of issuers`, {
    hint: 'give the roots of your issuers in PEM with --issuer-ca',
    cause,
  })
}
