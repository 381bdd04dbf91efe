import { BrokerError, isBrokerError } from '../errors.ts'
import type { Server } from './server.ts'

type Saying = readonly [
  codes: RegExp,
  what: (url: string) => string,
  hint: string | ((url: string) => string),
]

/** By the system's code. What is not here keeps the transport's own words. */
const SAYINGS: readonly Saying[] = [
  [
    /^(?:UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(?:_LOCALLY)?)|(?:DEPTH_ZERO_)?SELF_SIGNED_CERT(?:_IN_CHAIN)?|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE|INVALID_CA)$/,
    (url) => `the certificate of "${url}" is not signed by a root that is trusted here`,
    'name the roots of that server with --ca-file F or BROKER_CA_FILE',
  ],
  [
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
    (url) => `the certificate of "${url}" is one for another name`,
    'give the name that the certificate has, as --server https://NAME:PORT',
  ],
  [
    /^CERT_(?:HAS_EXPIRED|NOT_YET_VALID)$/,
    (url) => `the certificate of "${url}" is not valid now`,
    'renew it at the server, or set the clock of this machine',
  ],
  [
    /^(?:EPROTO|ERR_SSL_.*|HPE_.*)$/,
    (url) => `what listens at "${url}" does not speak ${isSecure(url) ? 'TLS' : 'HTTP'}`,
    otherPort,
  ],
  [
    // Also of a port that expects TLS and hears plain HTTP: most say nothing then.
    /^ECONNRESET$/,
    (url) => `what listens at "${url}" hung up before it had answered`,
    otherPort,
  ],
  [
    /^ECONNREFUSED$/,
    (url) => `nobody listens at "${url}"`,
    'see that the address is right and that broker serve runs there',
  ],
  [
    /^(?:ENOTFOUND|EAI_AGAIN)$/,
    (url) => `the host of "${url}" is not known here`,
    'see that the name is right and that this machine has a network',
  ],
]

function isSecure(url: string): boolean {
  return url.startsWith('https:')
}

function otherPort(url: string): string {
  return isSecure(url)
    ? 'see that the port is the one of broker serve; one with --plain-http is asked as http://, on its own machine'
    : 'broker serve with a certificate is asked as https://; else see that the port is the one of broker serve'
}

/** What `callServer` rejected with, in words that say which thing is wrong. Any other error as it is. */
export function whyUnreachable(server: Server, error: unknown): unknown {
  const code = causeCode(error)
  const saying = SAYINGS.find(([codes]) => code !== undefined && codes.test(code))
  if (saying === undefined || !isBrokerError(error)) return error
  const [, what, hint] = saying
  const details = { cause: code }
  return new BrokerError('daemon_unreachable', what(server.url), {
    hint: typeof hint === 'string' ? hint : hint(server.url),
    details,
    cause: error.cause,
  })
}

/** True if a broker was there and let go of us in the middle, as one does that starts anew. */
export function wasCutOff(error: unknown): boolean {
  return /^(?:ECONNRESET|EPIPE)$/.test(causeCode(error) ?? '')
}

function causeCode(error: unknown): string | undefined {
  if (!isBrokerError(error) || error.code !== 'daemon_unreachable') return undefined
  const { code } = (error.cause ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' ? code : undefined
}

/** Some other web server answers, or one in between. `status` is all that is said of its answer. */
export function notABroker({ url }: Server, status: number): BrokerError {
  const redirects = status >= 300 && status < 400
  return new BrokerError(
    'daemon_unreachable',
    redirects
      ? `"${url}" sends us elsewhere (${status}), which is not followed`
      : `"${url}" does not answer as a broker (${status})`,
    {
      hint: redirects
        ? 'give the final address of the server; what is sent is for it alone'
        : 'see that the address is the one that broker serve printed',
      details: { status },
    },
  )
}

/** 401 to us as the operator. The server's own words speak of files on its machine. */
export function keyRefused({ url }: Server): BrokerError {
  return new BrokerError('unauthorized', `"${url}" refused the operator key`, {
    hint: 'it is in operator.key in the configuration folder of the home that broker serve uses there',
  })
}

export function notOffered({ url }: Server, version: string): BrokerError {
  return new BrokerError('unsupported', `"${url}" (version ${version}) does not offer this`, {
    hint: 'bring broker serve there to the version of this CLI (broker --version)',
    details: { version },
  })
}

/** A vault is opened where it is: its passphrase does not travel. */
export function vaultLockedThere({ url }: Server, locked: BrokerError): BrokerError {
  return new BrokerError('vault_locked', `the vault of "${url}" is locked`, {
    hint: 'start broker serve there with BROKER_VAULT_PASSPHRASE, or open it there with any command',
    details: locked.details,
    cause: locked,
  })
}
