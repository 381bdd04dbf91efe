import { BrokerError } from '../../errors.ts'
import { Secret } from '../../lib/secret.ts'
import type { Connection } from '../provider.ts'

export type SslMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Where a connection leads and as whom. The password is the only secret in it. */
export interface Server {
  /** A name, an address without brackets, or a folder with a socket (begins with `/`). */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret
  /** The URL's own database; the role's name when it has none, as in libpq. */
  readonly database: string
  /** Null when the URL does not say. */
  readonly sslMode: SslMode | null
  /** A path, or `system`. */
  readonly sslRootCert: string | null
  /** The certificates of `--ca-file` as they were sealed with the secret; they win over the file. */
  readonly ca: string | null
}

const SSL_MODES: readonly string[] = [
  'disable',
  'allow',
  'prefer',
  'require',
  'verify-ca',
  'verify-full',
]
/** Accepted because vendors print them in their URLs; nothing here depends on them. */
const IGNORED: readonly string[] = ['application_name', 'connect_timeout', 'target_session_attrs']
const USED: readonly string[] = ['host', 'port', 'sslmode', 'sslrootcert']

const SHAPE =
  /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^:@/?#]*))?@)?(\[[0-9A-Fa-f:.%\w]+\]|[^:@/?#[\],]*)(?::(\d{1,5}))?(?:\/([^?#]*))?(?:\?([^#]*))?$/

/**
 * Reads a connection URI (libpq, "Connection URIs"). Throws `invalid_request` with a text that holds
 * nothing of the URL: a mistyped one has its password in any place.
 */
export function parseUrl(connection: Connection): Server {
  const text = connection.secret?.reveal() ?? ''
  if (!/^postgres(ql)?:\/\//.test(text)) {
    throw invalid(connection, 'is not a connection URL', 'it begins with postgresql://')
  }
  const parts = hasControl(text) ? null : SHAPE.exec(text)
  if (!parts) {
    throw invalid(
      connection,
      'is not a well-formed connection URL',
      'write it as postgresql://user:password@host:5432/database, with : @ / ? # % in a name or password percent-encoded',
    )
  }
  const [, user, password, host, port, database, query] = parts.map((part) => part ?? '')
  const parameters = parseQuery(connection, query ?? '')
  const name = decode(connection, user)
  if (name === '')
    throw invalid(connection, 'names no role', 'write postgresql://user:password@host/database')
  return {
    host: hostOf(connection, decode(connection, host), parameters.get('host')),
    port: portOf(connection, port || parameters.get('port')),
    user: name,
    password: new Secret(decode(connection, password)),
    database: decode(connection, database) || name,
    sslMode:
      sslModeOf(connection, parameters.get('sslmode')) ?? impliedMode(connection, parameters),
    sslRootCert: parameters.get('sslrootcert') ?? caFileOf(connection),
    ca: parameters.has('sslrootcert') ? null : (connection.ca ?? null),
  }
}

function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\u0000-\u0020\u007f]/.test(text)
}

function parseQuery(connection: Connection, query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const pair of query.split('&').filter(Boolean)) {
    const [key, ...value] = pair.split('=')
    const name = decode(connection, key)
    if (IGNORED.includes(name)) continue
    // The name is not repeated: an unescaped `?` in a password makes its rest look like a parameter.
    if (!USED.includes(name) || parameters.has(name)) {
      throw invalid(
        connection,
        'has a parameter that is unknown or given twice',
        `after the ? only ${USED.join(', ')} are used; a ? in the password is written %3F`,
      )
    }
    parameters.set(name, decode(connection, value.join('=')))
  }
  return parameters
}

function hostOf(connection: Connection, inUrl: string, inQuery: string | undefined): string {
  const host = (inUrl || inQuery || '').replace(/^\[(.*)\]$/, '$1')
  if (host !== '' && !host.includes(',')) return host
  throw invalid(
    connection,
    'names no single host',
    'write one host, or %2F-encoded the folder of its socket',
  )
}

function portOf(connection: Connection, text: string | undefined): number {
  const port = text ? Number(text) : 5432
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw invalid(connection, 'has no valid port', 'a port is a number from 1 to 65535')
}

function sslModeOf(connection: Connection, text: string | undefined): SslMode | null {
  if (text === undefined) return null
  if (SSL_MODES.includes(text)) return text as SslMode
  throw invalid(connection, 'has an unknown sslmode', `one of ${SSL_MODES.join(', ')}`)
}

/** Whoever names certificates wants the server to show one: with --ca-file alone it is checked in full. */
function impliedMode(
  connection: Connection,
  parameters: ReadonlyMap<string, string>,
): SslMode | null {
  const given = connection.ca !== undefined || caFileOf(connection) !== null
  return given && !parameters.has('sslrootcert') ? 'verify-full' : null
}

function caFileOf(connection: Connection): string | null {
  const file = connection.settings['caFile']
  return typeof file === 'string' ? file : null
}

function decode(connection: Connection, text = ''): string {
  try {
    const plain = decodeURIComponent(text)
    if (!plain.includes('\0')) return plain
  } catch {
    // falls through: what was wrong with it is part of the secret
  }
  throw invalid(connection, 'is not well percent-encoded', 'write a % as %25')
}

function invalid(connection: Connection, what: string, hint: string): BrokerError {
  return new BrokerError('invalid_request', `the secret of "${connection.name}" ${what}`, {
    hint,
    details: { connection: connection.name },
  })
}

/** True for a server on this machine: nothing travels over a network. */
export function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\./.test(host)
}

/** For people: `host:port`, an IPv6 address in brackets. */
export function addressOf(server: Pick<Server, 'host' | 'port'>): string {
  const { host, port } = server
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
