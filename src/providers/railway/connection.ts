import { BrokerError } from '../../errors.ts'
import { digest } from '../../lib/equal.ts'
import { Secret } from '../../lib/secret.ts'
import type { Connection } from '../provider.ts'

/** The public address of the API; `--url` names another. */
const PUBLIC_ORIGIN = 'https://backboard.railway.com'
const SETTINGS: readonly string[] = ['url', 'caFile', 'token']
const KINDS = ['account', 'workspace', 'project'] as const
/** What a header can carry. Railway's own tokens are UUIDs; sign-in tokens are longer. */
const TOKEN = /^[\x21-\x7e]{1,500}$/

export type TokenKind = (typeof KINDS)[number]

/** The two ways in which the API takes a credential; each token works in one of them alone. */
export type TokenHeader = 'authorization' | 'project-access-token'

/** Who asks: where, and with what. */
export interface Caller {
  /** Name of the connection, for messages. */
  readonly connection: string
  readonly origin: string
  readonly ca: string | null
  readonly header: TokenHeader
  readonly token: Secret
}

/** Throws `invalid_request` for a secret or settings of the wrong shape. Never quotes the secret. */
export function callerOf(connection: Connection | null): Caller {
  if (connection === null) {
    throw new BrokerError('connection_missing', 'railway needs a connection', {
      hint: 'store one with: broker connect railway',
    })
  }
  refuseUnknown(connection)
  return {
    connection: connection.name,
    origin: originOf(connection),
    ca: connection.ca ?? null,
    header: tokenKind(connection) === 'project' ? 'project-access-token' : 'authorization',
    token: tokenOf(connection),
  }
}

/** Tells callers apart without showing their token. */
export function fingerprintOf({ origin, header, token }: Caller): string {
  return digest([origin, header, token.reveal()].join('\n'))
}

/** The same place, asked with a project token. */
export function withProjectToken(caller: Caller, token: Secret): Caller {
  return { ...caller, header: 'project-access-token', token }
}

/** The field that carries a credential: one form or the other, never both. */
export function credentialField(
  header: TokenHeader,
  token: Secret,
): readonly [name: string, value: Secret] {
  return header === 'authorization'
    ? [header, new Secret(`Bearer ${token.reveal()}`)]
    : [header, token]
}

/** What the stored secret is, as the person said it. */
export function tokenKind({ name, settings }: Connection): TokenKind {
  const { token = 'account' } = settings
  const kind = KINDS.find((each) => each === token)
  if (kind) return kind
  throw invalid(name, 'token', 'the setting "token" is not a kind of token', {
    hint: `write one of: ${KINDS.map((each) => `--set token=${each}`).join(', ')}`,
  })
}

/** `https://host[:port]`: of `--url`, or the public one. */
export function originOf(connection: Connection): string {
  return isElsewhere(connection) ? parseOrigin(connection) : PUBLIC_ORIGIN
}

/** True where the person named an address with `--url`. */
export function isElsewhere({ settings }: Connection): boolean {
  return settings['url'] !== undefined
}

function parseOrigin({ name, settings: { url } }: Connection): string {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null
  const bare = parsed?.pathname === '/' && parsed.search === '' && parsed.hash === ''
  if (!bare || parsed.protocol !== 'https:' || parsed.username !== '' || parsed.password !== '') {
    throw invalid(name, 'url', 'the address of a railway connection is not https://host[:port]', {
      hint: 'leave out path, query and user: --url https://railway.example.com:8443',
    })
  }
  return parsed.origin
}

function tokenOf({ name, secret }: Connection): Secret {
  if (secret !== null && TOKEN.test(secret.reveal())) return secret
  throw invalid(name, null, `the secret of "${name}" is not a token`, {
    hint: 'a token is one word: make one at railway.com under Account Settings, Tokens',
  })
}

function refuseUnknown({ name, settings }: Connection): void {
  for (const key of Object.keys(settings)) {
    if (SETTINGS.includes(key)) continue
    throw invalid(name, key, `railway has no setting "${key}"`, {
      hint: 'the only setting is token: --set token=project',
    })
  }
}

function invalid(
  connection: string,
  setting: string | null,
  message: string,
  { hint }: { readonly hint: string },
): BrokerError {
  const details = { connection, ...(setting === null ? {} : { setting }) }
  return new BrokerError('invalid_request', message, { hint, details })
}
