import { isIP } from 'node:net'
import { BrokerError } from '../../errors.ts'

/** What the command line of `broker serve` says, as it says it. */
export interface ServeFlags {
  readonly listen: string
  readonly tlsCert?: string | undefined
  readonly tlsKey?: string | undefined
  readonly plainHttp: boolean
  readonly publicUrl?: string | undefined
  readonly issuerCa?: string | undefined
  readonly allowPrivateIssuers: boolean
  /** Null: as the output is a terminal or not. */
  readonly logFormat: 'json' | 'text' | null
  /** Of test builds alone. */
  readonly limits?: object | undefined
}

/** The same, understood. */
export interface ServeSettings {
  readonly host: string
  readonly port: number
  /** Null: plain HTTP on this machine. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** An origin, without a final slash: our name as an issuer, and the audience of tokens meant for us. */
  readonly publicUrl: string
  readonly issuerCaFile: string | null
  readonly privateIssuers: boolean
}

/** Throws `usage` for flags that do not make a safe server. Touches no file. */
export function readSettings(flags: ServeFlags): ServeSettings {
  const { host, port } = readAddress(flags.listen)
  const tls = readTls(flags)
  if (tls === null && !isOwn(host)) {
    throw usage(`plain HTTP is not served on "${host}"`, {
      hint: 'give --tls-cert and --tls-key, or listen on 127.0.0.1',
    })
  }
  return {
    host,
    port,
    tls,
    publicUrl: readPublicUrl(flags.publicUrl, flags.listen, tls !== null),
    issuerCaFile: flags.issuerCa ?? null,
    privateIssuers: flags.allowPrivateIssuers,
  }
}

function readAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  const bad = match?.[1] !== undefined && isIP(match[1]) !== 6
  if (host === undefined || bad || port < 1 || port > 65_535) {
    throw usage(`"${text}" is not an address to listen on`, {
      hint: 'give HOST:PORT, as 0.0.0.0:8443 or [::]:8443',
    })
  }
  return { host, port }
}

function readTls({ tlsCert, tlsKey, plainHttp }: ServeFlags): ServeSettings['tls'] {
  if (tlsCert !== undefined && tlsKey !== undefined) {
    if (!plainHttp) return { certFile: tlsCert, keyFile: tlsKey }
    throw usage('--plain-http and a certificate exclude each other', { hint: 'leave one out' })
  }
  if (tlsCert !== undefined || tlsKey !== undefined) {
    const missing = tlsCert === undefined ? '--tls-cert' : '--tls-key'
    throw usage(`"${missing}" is missing`, { hint: 'a certificate and its key come together' })
  }
  if (plainHttp) return null
  throw usage('serving needs a certificate: tokens are never taken in clear text', {
    hint: 'give --tls-cert FILE and --tls-key FILE; to try it on this machine alone: --plain-http',
  })
}

/** On this machine alone, whichever way it is written: a name other than localhost may lead anywhere. */
function isOwn(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function readPublicUrl(given: string | undefined, listen: string, secure: boolean): string {
  const text = given ?? defaultUrl(listen, secure)
  const url = URL.canParse(text) ? new URL(text) : null
  const isOrigin = url !== null && (text === url.origin || text === `${url.origin}/`)
  if (!url || !isOrigin || !/^https?:$/.test(url.protocol)) {
    throw usage(`"${text}" is not a public URL`, {
      hint: 'give it as https://HOST or https://HOST:PORT, in lower case and without a path',
    })
  }
  if (secure && url.protocol !== 'https:') {
    throw usage(`the public URL "${text}" is not https`, { hint: 'give it as https://HOST' })
  }
  return url.origin
}

/** Our address as a name, where clients can use it as one. */
function defaultUrl(listen: string, secure: boolean): string {
  const url = new URL(`${secure ? 'https' : 'http'}://${listen}`)
  if (!['0.0.0.0', '[::]', '[::ffff:0:0]'].includes(url.hostname)) return url.origin
  throw usage(`"${listen}" is every address of this machine, and no name for it`, {
    hint: 'say how clients reach it: --public-url https://HOST',
  })
}

function usage(message: string, options: { hint: string }): BrokerError {
  return new BrokerError('usage', message, options)
}
