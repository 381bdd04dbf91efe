import type { RestCredential, RestDefinition } from '../../core/rest/definition.ts'
import { BrokerError } from '../../errors.ts'
import { Secret } from '../../lib/secret.ts'
import type { Upstream } from '../guard.ts'
import type { Connection } from '../provider.ts'

const SETTINGS: readonly string[] = ['url', 'caFile']
/** What a header can carry as one word; a colon would end the user of Basic authentication. */
const WORD = /^[\x21-\x7e]{1,8000}$/

/** Checks the shape of secret and settings. Throws `invalid_request`; never quotes the secret. */
export function checkConnection(provider: string, connection: Connection): void {
  const stranger = Object.keys(connection.settings).find((key) => !SETTINGS.includes(key))
  if (stranger !== undefined) {
    const message = `${provider} has no setting "${stranger}"`
    throw invalid(connection, message, 'all there is to set is --url and --ca-file')
  }
  secretOf(provider, connection)
  chosenOrigin(provider, connection)
}

export function secretOf(provider: string, connection: Connection | null): Secret {
  if (connection === null) {
    throw new BrokerError('connection_missing', `${provider} needs a connection`, {
      hint: `store one with: broker connect ${provider}`,
    })
  }
  const { secret, name } = connection
  if (secret !== null && WORD.test(secret.reveal())) return secret
  const message = `the secret of "${name}" is not one word of plain characters`
  throw invalid(connection, message, 'give the credential alone, without spaces or line breaks')
}

/** `https://host[:port]`: of `--url`, or of the first host. */
export function originOf(provider: string, definition: RestDefinition, connection: Connection) {
  return chosenOrigin(provider, connection) ?? `https://${definition.hosts[0] ?? ''}`
}

/** Where the traffic for a public host really goes. */
export function upstreamOf(
  provider: string,
  definition: RestDefinition,
  connection: Connection,
  host: string,
): Upstream {
  if (!definition.hosts.includes(host)) throw new TypeError('not one of our hosts')
  const chosen = chosenOrigin(provider, connection)
  return {
    origin: chosen ?? `https://${host}`,
    ca: connection.ca ?? null,
    chosen: chosen !== null,
  }
}

function chosenOrigin(provider: string, connection: Connection): string | null {
  const { url } = connection.settings
  if (url === undefined) return null
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null
  const bare = parsed?.pathname === '/' && parsed.search === '' && parsed.hash === ''
  if (bare && parsed.protocol === 'https:' && parsed.username === '' && parsed.password === '') {
    return parsed.origin
  }
  const message = `the address of a ${provider} connection is not https://host[:port]`
  throw invalid(
    connection,
    message,
    'leave out path, query and user: --url https://api.example.com',
  )
}

/** The one field that carries the credential upstream (RFC 6750 §2.1, RFC 7617 §2). */
export function credentialField(
  { header, scheme, user, password }: RestCredential,
  secret: Secret,
): readonly [name: string, value: Secret] {
  if (scheme === 'raw') return [header, secret]
  if (scheme === 'bearer') return [header, new Secret(`Bearer ${secret.reveal()}`)]
  const pair = user === null ? `${secret.reveal()}:${password ?? ''}` : `${user}:${secret.reveal()}`
  return [header, new Secret(`Basic ${Buffer.from(pair).toString('base64')}`)]
}

function invalid({ name }: Connection, message: string, hint: string): BrokerError {
  return new BrokerError('invalid_request', message, { hint, details: { connection: name } })
}
