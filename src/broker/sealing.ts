import { BrokerError } from '../errors.ts'
import { canonicalJson, type Json, type JsonObject } from '../lib/json.ts'
import { Secret } from '../lib/secret.ts'
import type { Connection, Provider } from '../providers/provider.ts'
import type { StoredConnection } from '../store/store.ts'

const CHANGED = 'was changed since its secret was given'

/** What a secret may be used with: it rests in the vault together with this, and only so. */
interface Bound {
  readonly name: string
  readonly provider: string
  readonly settings: JsonObject
  readonly origin: string | null
  /** Names at which the proxy puts it in. */
  readonly hosts: readonly string[]
}

/**
 * The text that goes into the vault: the secret with the addresses it may be sent to and the
 * certificates trusted there. Whoever changes those in the database or in broker.yaml cannot have
 * the secret sent there: it has to be given again.
 */
export function sealConnection(connection: Connection, provider: Provider): Secret {
  const { secret, ca } = connection
  const sealed = {
    v: 1,
    bound: { ...boundOf(provider, connection) },
    ca: ca ?? null,
    secret: secret?.reveal() ?? '',
  }
  return new Secret(canonicalJson(sealed))
}

/** Throws `connection_missing` when what is stored beside the secret is not what it was sealed with. */
export function unsealConnection(
  stored: StoredConnection,
  provider: Provider,
  sealed: Secret,
): Connection {
  const content = read(sealed.reveal())
  if (!content) throw changed(stored, 'was stored by an older version')
  const { name, settings } = stored
  const connection: Connection = {
    name,
    settings,
    secret: new Secret(content.secret),
    ...(content.ca !== null && { ca: content.ca }),
  }
  const { bound } = content
  const expected = { ...plainly(provider, connection), origin: stored.origin }
  // Before the provider sees the secret: which one it is, is one of the things that may have changed.
  if (canonicalJson(bound) !== canonicalJson(expected)) throw changed(stored, CHANGED)
  // The origin may stand in the secret itself (a database URL), or in broker.yaml: asked for with it.
  if ((provider.origin?.(connection) ?? null) !== stored.origin) throw changed(stored, CHANGED)
  return connection
}

function boundOf(provider: Provider, connection: Connection): Bound & JsonObject {
  return { ...plainly(provider, connection), origin: provider.origin?.(connection) ?? null }
}

/** All but the origin: known without the secret. */
function plainly(provider: Provider, { name, settings }: Connection): Omit<Bound, 'origin'> {
  return {
    name,
    provider: provider.name,
    settings,
    hosts: [...(provider.guard?.hosts ?? [])].sort(),
  }
}

function read(text: string) {
  try {
    const { v, bound, ca, secret } = JSON.parse(text) as Record<string, Json>
    if (v !== 1 || typeof secret !== 'string' || bound === undefined) return undefined
    return { bound, ca: typeof ca === 'string' ? ca : null, secret }
  } catch {
    return undefined
  }
}

function changed({ name, provider }: StoredConnection, how: string): BrokerError {
  return new BrokerError('connection_missing', `connection "${name}" ${how}`, {
    hint: `give its secret again: broker connect ${provider} ${name}`,
    details: { connection: name },
  })
}
