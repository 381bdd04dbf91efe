import '../../lib/reflect.ts'
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
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { Secret } from '../../lib/secret.ts'
import { pemOf, randomSerial } from '../../lib/x509.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const NAMES = ['127.0.0.1', 'localhost', 'backboard.railway.com', 'backboard.railway.app']
const HOUR_MS = 3_600_000

export interface Identity {
  /** The authority's certificate, PEM: what clients have to trust. */
  readonly ca: string
  /** The server's own certificate, PEM. */
  readonly certificate: string
  readonly key: Secret
}

/** An authority of its own and one certificate under it, good for a day. Neither outlives the process. */
export async function newIdentity(): Promise<Identity> {
  const signing = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify'])
  const serving = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const valid = {
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    signingAlgorithm: ALGORITHM,
  }
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...valid,
    serialNumber: randomSerial(),
    name: [{ O: ['broker demo'] }, { CN: ['demo cloud'] }],
    keys: signing,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(signing.publicKey),
    ],
  })
  const certificate = await X509CertificateGenerator.create({
    ...valid,
    serialNumber: randomSerial(),
    subject: [{ O: ['broker demo'] }],
    issuer: authority.subject,
    publicKey: serving.publicKey,
    signingKey: signing.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        NAMES.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
      await SubjectKeyIdentifierExtension.create(serving.publicKey),
      await AuthorityKeyIdentifierExtension.create(signing.publicKey),
    ],
  })
  return {
    ca: `${authority.toString('pem')}\n`,
    certificate: `${certificate.toString('pem')}\n`,
    key: pemOf('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', serving.privateKey)),
  }
}
