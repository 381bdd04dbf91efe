import '../lib/reflect.ts'
import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { Secret } from '../lib/secret.ts'
import { pemOf, randomSerial } from '../lib/x509.ts'
import { nameConstraints } from './name-constraints.ts'
import { publicRoots } from './roots.ts'

/**
 * P-256 rather than RSA: a lease needs two key pairs, which take 0.2 ms; of RSA-2048 they took 75 ms
 * in the median and 200 ms at worst, before anything can start, and each handshake three times as
 * long to sign. Keys made ahead would hide that for one lease, and be keys that belong to none. The
 * curve is known to OpenSSL since 1.0, Java since 7, GnuTLS since 3.0, all of them from before 2012.
 */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
/** Clients whose clock is behind the daemon's still accept the certificates. */
const BACKDATED_MS = 3_600_000
const CACHED = 256

export interface Leaf {
  /** The certificate and the CA's, PEM. */
  readonly chain: string
  readonly key: Secret
}

/**
 * The authority that one lease's clients trust. Its key cannot be exported, is held by this object
 * alone and is gone with it; leaf certificates are made on first use and kept.
 */
export class CertificateAuthority {
  readonly #certificate: X509Certificate
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #leafKeys: webcrypto.CryptoKeyPair
  readonly #leafKey: Secret
  #notAfter: Date
  readonly #leaves = new Map<string, Promise<Leaf>>()

  private constructor(
    certificate: X509Certificate,
    keys: webcrypto.CryptoKeyPair,
    leafKeys: webcrypto.CryptoKeyPair,
    leafKey: Secret,
    notAfter: Date,
  ) {
    this.#certificate = certificate
    this.#keys = keys
    this.#leafKeys = leafKeys
    this.#leafKey = leafKey
    this.#notAfter = notAfter
  }

  /**
   * `name` stands in the subject; `notAfter` is the last moment any of its certificates is good.
   * With `hosts`, clients accept it for these (and names below them) and for nothing else, whatever
   * certificate it issues.
   */
  static async create(
    name: string,
    now: Date,
    notAfter: Date,
    hosts?: readonly string[],
  ): Promise<CertificateAuthority> {
    const keys = await generate(false)
    const leafKeys = await generate(true)
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', leafKeys.privateKey)
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: randomSerial(),
      name: [{ O: ['broker'] }, { CN: [`broker ${name}`] }],
      notBefore: new Date(now.getTime() - BACKDATED_MS),
      notAfter,
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
        ...(hosts ? [nameConstraints(hosts)] : []),
      ],
    })
    return new CertificateAuthority(
      certificate,
      keys,
      leafKeys,
      pemOf('PRIVATE KEY', pkcs8),
      notAfter,
    )
  }

  /** When its own certificate lapses. */
  get notAfter(): Date {
    return this.#certificate.notAfter
  }

  /** For one that was made ahead: no leaf is good after this. Before the first leaf. */
  limitLeaves(notAfter: Date): void {
    if (notAfter < this.#notAfter) this.#notAfter = notAfter
  }

  /** The CA certificate, PEM. */
  get pem(): string {
    return `${this.#certificate.toString('pem')}\n`
  }

  /** For clients that replace their roots by one file: this CA and the public roots, PEM. */
  bundle(): string {
    return this.pem + publicRoots()
  }

  leaf(host: string): Promise<Leaf> {
    let leaf = this.#leaves.get(host)
    if (!leaf) {
      const oldest = this.#leaves.size >= CACHED ? this.#leaves.keys().next().value : undefined
      if (oldest !== undefined) this.#leaves.delete(oldest)
      leaf = this.#issue(host)
      this.#leaves.set(host, leaf)
    }
    return leaf
  }

  async #issue(host: string): Promise<Leaf> {
    const certificate = await X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      // No common name: it is limited to 64 characters and no client reads it any more.
      subject: [{ O: ['broker'] }],
      issuer: this.#certificate.subject,
      notBefore: this.#certificate.notBefore,
      notAfter: this.#notAfter,
      signingAlgorithm: ALGORITHM,
      publicKey: this.#leafKeys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([
          { type: isIP(host) === 0 ? 'dns' : 'ip', value: host },
        ]),
        await SubjectKeyIdentifierExtension.create(this.#leafKeys.publicKey),
        await AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
      ],
    })
    return { chain: `${certificate.toString('pem')}\n${this.pem}`, key: this.#leafKey }
  }
}

const generate = (extractable: boolean) =>
  webcrypto.subtle.generateKey(ALGORITHM, extractable, ['sign', 'verify'])
