import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { BrokerError } from '../../errors.ts'
import type { ServeSettings } from './settings.ts'

type Files = NonNullable<ServeSettings['tls']>

/** A certificate that was looked at, and its key. */
export interface Certificate {
  readonly context: SecureContextOptions
  /** Milliseconds since the epoch. */
  readonly notAfter: number
  /** Changes with either file: when to look again. */
  readonly stamp: string
  /** What a person should hear about it. */
  readonly warnings: readonly string[]
}

const SOON_MS = 7 * 86_400_000
const RENEW = 'renew it, or set the clock of this machine'

/**
 * Reads the server's certificate chain and its key. Throws `config_invalid` for files that cannot be
 * read, do not belong together, or are not good now: a server that no client can trust does not start.
 */
export function readCertificate(files: Files, now: number): Certificate {
  const stamp = stampOf(files)
  const cert = readPem(files.certFile)
  const key = readPem(files.keyFile)
  const leaf = parse(files.certFile, () => new X509Certificate(cert))
  const secret = parse(files.keyFile, () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(secret)) {
    throw invalid(`the key in "${files.keyFile}" is not that of "${files.certFile}"`, {
      hint: 'give the key that the certificate was made for',
    })
  }
  const notAfter = Date.parse(leaf.validTo)
  if (notAfter <= now) {
    throw invalid(`the certificate in "${files.certFile}" has expired`, { hint: RENEW })
  }
  if (Date.parse(leaf.validFrom) > now) {
    throw invalid(`the certificate in "${files.certFile}" is not valid yet`, { hint: RENEW })
  }
  const context = { cert, key }
  // The rest of the chain, and what TLS itself demands of a key.
  parse(files.certFile, () => createSecureContext(context))
  return { context, notAfter, stamp, warnings: warningsOf(files, notAfter, now) }
}

/** What tells a renewed file: its place on the disk, its time and its size. Empty when one is missing. */
export function stampOf({ certFile, keyFile }: Files): string {
  try {
    return [certFile, keyFile]
      .map((file) => statSync(file))
      .map(({ ino, mtimeMs, size }) => `${ino}/${mtimeMs}/${size}`)
      .join(' ')
  } catch {
    return ''
  }
}

function warningsOf({ keyFile }: Files, notAfter: number, now: number): string[] {
  const open = process.platform !== 'win32' && (statSync(keyFile).mode & 0o077) !== 0
  return [
    ...(open ? [`the key in "${keyFile}" can be read by other users: chmod 600 it`] : []),
    ...(notAfter - now < SOON_MS
      ? [`the certificate expires at ${new Date(notAfter).toISOString()}`]
      : []),
  ]
}

/** Throws `config_invalid`. */
export function readPem(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException
    throw invalid(`cannot read "${file}" (${code})`, {
      hint: 'give the path of a file that the user of the server may read',
      cause,
    })
  }
}

/** Our own words: what the parser says may quote the file. */
function parse<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw invalid(`"${file}" is not what TLS needs, in PEM`, {
      hint: 'give a PEM certificate chain, its own first, and its private key without a passphrase',
      cause,
    })
  }
}

function invalid(message: string, options: { hint: string; cause?: unknown }): BrokerError {
  return new BrokerError('config_invalid', message, options)
}
