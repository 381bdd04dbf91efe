import { isName, nearest } from '../core/names.ts'
import { BrokerError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Secret } from '../lib/secret.ts'
import type { Connection, Finding, Provider } from '../providers/provider.ts'
import type { StoredConnection } from '../store/store.ts'
import { worldOf } from './call.ts'
import type { Context } from './context.ts'
import { sealConnection } from './sealing.ts'

export interface ConnectRequest {
  readonly provider: string
  readonly name: string
  readonly secret: Secret | null
  readonly settings: JsonObject
  /** Ask the provider before storing. */
  readonly check: boolean
}

export interface Connected {
  readonly connection: StoredConnection
  readonly findings: readonly Finding[]
  readonly replaced: boolean
}

/**
 * Stores a long-lived credential, after asking the provider what it is (unless `check` is false).
 * Replaces a connection of the same name, also while leases live on it (a rotated password), but
 * not by one at another address. Nothing changes when it throws.
 */
export async function connect(context: Context, request: ConnectRequest): Promise<Connected> {
  const provider = await context.provider(request.provider)
  const connection = checkRequest(provider, request)
  const { settings } = connection
  const existing = await context.store.read.connection(request.name)
  const origin = provider.origin?.(connection) ?? null
  if (existing) await refuseMove(context, existing, request.provider, origin)
  const findings =
    request.check && provider.check ? await provider.check(connection, worldOf(context)) : []
  const vaultKey = request.secret
    ? `connection/${request.name}/${Buffer.from(context.random(6)).toString('hex')}`
    : null
  const now = context.now()
  const stored: StoredConnection = {
    name: request.name,
    provider: provider.name,
    settings,
    vaultKey,
    origin,
    createdAt: existing?.createdAt ?? now,
    updatedAt: now,
  }
  // The new secret first, under a key of its own: a failure between the two leaves the old pair intact.
  if (vaultKey) await context.vault.set(vaultKey, sealConnection(connection, provider))
  await context.store.write(async (writer) => {
    await writer.saveConnection(stored)
    await writer.append({
      type: 'connection.stored',
      lease: null,
      data: {
        name: stored.name,
        provider: stored.provider,
        origin,
        replaced: existing !== undefined,
        checked: request.check,
      },
    })
  })
  if (existing?.vaultKey) await forget(context, existing.vaultKey)
  context.lanes.delete(request.name) // a corrected credential deserves a try at once
  context.connections.version++
  return { connection: stored, findings, replaced: existing !== undefined }
}

function checkRequest(provider: Provider, request: ConnectRequest): Connection {
  if (provider.secretPrompt === null) {
    throw new BrokerError('invalid_request', `"${provider.name}" needs no connection`, {
      hint: `use it in broker.yaml as { provider: ${provider.name} }`,
    })
  }
  if (!isName(request.name)) {
    throw new BrokerError(
      'invalid_request',
      `"${request.name}" cannot be the name of a connection`,
      {
        hint: 'letters, digits, dot, dash and underscore; at most 63; not starting with a dot or dash',
      },
    )
  }
  if (!request.secret || request.secret.reveal() === '') {
    throw new BrokerError('invalid_request', 'the secret is empty', {
      hint: 'type it at the prompt, or pipe it in with --secret-stdin',
    })
  }
  const { ca, ...settings } = request.settings
  const connection: Connection = {
    name: request.name,
    secret: request.secret,
    settings,
    ...(typeof ca === 'string' && { ca }),
  }
  if (settings['caFile'] !== undefined && connection.ca === undefined) {
    throw new BrokerError('invalid_request', 'the certificates of "caFile" are not with it', {
      hint: 'send them as "ca", in PEM; broker connect --ca-file does',
    })
  }
  provider.parseConnection?.(connection)
  return connection
}

/** The recipes of live leases say what to undo, the connection says where: it must stay there. */
async function refuseMove(
  context: Context,
  existing: StoredConnection,
  provider: string,
  origin: string | null,
): Promise<void> {
  if (existing.provider === provider && existing.origin === origin) return
  const live = await context.store.read.liveOnConnection(existing.name)
  if (live === 0) return
  throw new BrokerError(
    'conflict',
    `connection "${existing.name}" has ${live} live grants at another address`,
    {
      hint: 'end them first (broker tokens, broker revoke), or store the new one under another name',
      details: { live },
    },
  )
}

/** Removes a connection. Throws `conflict` while leases live on it: only it can end them. */
export async function disconnect(context: Context, name: string): Promise<StoredConnection> {
  const removed = await context.store.write(async (writer) => {
    const stored = await writer.connection(name)
    if (!stored) throw await unknownConnection(context, name)
    const live = await writer.liveOnConnection(name)
    if (live > 0) {
      throw new BrokerError('conflict', `connection "${name}" still has ${live} live grants`, {
        hint: 'end them first: broker tokens, broker revoke LEASE',
        details: { live },
      })
    }
    await writer.deleteConnection(name)
    await writer.append({
      type: 'connection.removed',
      lease: null,
      data: { name, provider: stored.provider },
    })
    return stored
  })
  context.connections.version++
  if (removed.vaultKey) await forget(context, removed.vaultKey)
  return removed
}

async function unknownConnection(context: Context, name: string): Promise<BrokerError> {
  const names = (await context.store.read.connections()).map((one) => one.name)
  const near = nearest(name, names)
  return new BrokerError('not_found', `there is no connection "${name}"`, {
    hint: near ? `did you mean "${near}"?` : 'see broker connections',
  })
}

/** The row is gone already; a secret nobody refers to is litter, not a failure. */
async function forget(context: Context, vaultKey: string): Promise<void> {
  await context.vault
    .delete(vaultKey)
    .catch((error: unknown) => context.log.error('an old secret stays in the vault', error))
}
