import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callProvider } from '../../src/broker/call.ts'
import { connect } from '../../src/broker/connect.ts'
import { BrokerError } from '../../src/errors.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection, Provider } from '../../src/providers/provider.ts'
import type { Vault } from '../../src/vault/vault.ts'
import { createLedger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, type TestContext } from '../fixtures/context.ts'

const CANARY = 'canary-of-staging'
const OTHER = 'canary-of-production'
const CA = '-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n'
const SETTINGS = { url: 'https://api.example', caFile: '/etc/ca.pem', ca: CA }

let context: TestContext
let entries: Map<string, Secret>
/** Every secret that any provider was shown, in whatever call. */
let shown: string[]
let hosts: readonly string[]
let origins: (connection: Connection) => string
let providers: Map<string, Provider>

beforeEach(async () => {
  shown = []
  hosts = ['api.example']
  origins = ({ settings }) => String(settings['url'] ?? 'https://api.example')
  providers = new Map(['ledger', 'thief'].map((name) => [name, recording(name)]))
  entries = new Map()
  context = await createContext(
    recording('ledger'),
    {},
    {
      vault: inMemory(),
      provider: async (name) => providers.get(name) ?? Promise.reject(new Error(name)),
    },
  )
  await store('main', CANARY, SETTINGS)
  shown = []
})
afterEach(() => context.dispose())

function recording(name: string): Provider {
  const see = (connection: Connection | null) => {
    if (connection?.secret) shown.push(connection.secret.reveal())
  }
  const real = ledgerProvider(createLedger(), { name, secretPrompt: 'key' })
  return {
    ...real,
    parseConnection: see,
    origin: (connection) => {
      see(connection)
      return origins(connection)
    },
    // Asked at each use: what a new version or broker.yaml says about hosts counts now.
    get guard() {
      return { hosts } as unknown as NonNullable<Provider['guard']>
    },
  }
}

function inMemory(): Vault {
  return {
    status: async () => ({ kind: 'file', where: '', sealedBy: 'passphrase', locked: false }),
    get: async (name) => entries.get(name) ?? null,
    set: async (name, secret) => void entries.set(name, secret),
    delete: async (name) => entries.delete(name),
    unlock: async () => {},
  }
}

async function store(name: string, secret: string, settings: JsonObject = {}): Promise<void> {
  const request = { provider: 'ledger', name, secret: new Secret(secret), settings, check: false }
  await connect(context, request)
}

/** Behind the broker's back, as somebody with the database file would. */
function tamper(sql: string, ...values: (string | null)[]): void {
  const database = new DatabaseSync(join(context.folder, 'broker.sqlite'))
  try {
    expect(database.prepare(sql).run(...values).changes).toBeGreaterThan(0)
  } finally {
    database.close()
  }
}

function use(name = 'main'): Promise<Connection | null> {
  return callProvider(context, name, async (connection) => {
    if (connection?.secret) shown.push(connection.secret.reveal())
    return connection
  })
}

async function refusal(name = 'main'): Promise<BrokerError> {
  try {
    await use(name)
  } catch (error) {
    if (error instanceof BrokerError) return error
    throw error
  }
  throw new Error('it was opened')
}

const CHANGED = {
  code: 'connection_missing',
  message: 'connection "main" was changed since its secret was given',
  hint: expect.stringMatching(/^give its secret again: broker connect \w+ main$/),
  details: { connection: 'main' },
}

describe('a connection whose row was changed is not opened, and nobody is shown its secret', () => {
  const url = (text: string) => JSON.stringify({ url: text, caFile: '/etc/ca.pem' })
  const rows: readonly (readonly [string, string, string])[] = [
    ['another url', 'settings', url('https://thief.example')],
    ['another url that says where it is', 'settings', url('https://api.example:444')],
    ['no settings any more', 'settings', '{}'],
    ['another caFile', 'settings', '{"url":"https://api.example","caFile":"/tmp/thief.pem"}'],
    [
      'certificates among the settings',
      'settings',
      '{"url":"https://api.example","caFile":"/etc/ca.pem","ca":"thief"}',
    ],
    [
      'one setting more',
      'settings',
      '{"url":"https://api.example","caFile":"/etc/ca.pem","token":"x"}',
    ],
    ['another provider', 'provider', 'thief'],
    ['another origin', 'origin', 'https://thief.example'],
  ]
  it.for(rows)('%s', async ([, column, value]) => {
    tamper(`UPDATE connections SET ${column} = ? WHERE name = 'main'`, value)
    expect(await refusal()).toMatchObject(CHANGED)
    expect(shown).toEqual([])
  })

  it('another origin and the url that fits it', async () => {
    tamper(
      `UPDATE connections SET origin = ?, settings = ? WHERE name = 'main'`,
      'https://thief.example',
      url('https://thief.example'),
    )
    expect(await refusal()).toMatchObject(CHANGED)
    expect(shown).toEqual([])
  })

  it('another name for the same row', async () => {
    tamper(`UPDATE connections SET name = 'renamed' WHERE name = 'main'`)
    expect(await refusal('renamed')).toMatchObject({
      code: 'connection_missing',
      message: 'connection "renamed" was changed since its secret was given',
    })
    expect(shown).toEqual([])
  })
})

describe('a connection is not opened', () => {
  it('when the hosts at which it is put in are others', async () => {
    hosts = ['api.example', 'thief.example']
    expect(await refusal()).toMatchObject(CHANGED)
    expect(shown).toEqual([])
  })

  it('when its provider now leads elsewhere, as a changed broker.yaml does', async () => {
    origins = () => 'https://thief.example'
    expect(await refusal()).toMatchObject(CHANGED)
    // Asked for its address, and told nothing else: no call that sends anything was made.
    expect(shown).toEqual([CANARY])
  })

  it('with the secret of another one, though both are alike in all but the name', async () => {
    await store('production', OTHER, SETTINGS)
    const key = async (name: string) => (await context.store.read.connection(name))?.vaultKey ?? ''
    const [mine, theirs] = [await key('main'), await key('production')]
    shown = []
    const swap = 'UPDATE connections SET vault_key = ? WHERE name = ?'
    tamper(swap, theirs, 'main')
    tamper(swap, mine, 'production')
    expect(await refusal('main')).toMatchObject(CHANGED)
    expect(await refusal('production')).toMatchObject({ code: 'connection_missing' })
    expect(shown).toEqual([])
  })

  it('with a secret that lies in the vault bare, as older versions left it', async () => {
    for (const bare of [CANARY, `"${CANARY}"`, '{"v":2}', 'null', '[]']) {
      for (const key of entries.keys()) entries.set(key, new Secret(bare))
      expect(await refusal(), bare).toMatchObject({
        ...CHANGED,
        message: 'connection "main" was stored by an older version',
      })
    }
    expect(shown).toEqual([])
  })

  it('with a seal that says what it was bound to, but not to what this one is', async () => {
    const sealed = { v: 1, bound: {}, ca: null, secret: CANARY }
    for (const key of entries.keys()) entries.set(key, new Secret(JSON.stringify(sealed)))
    expect(await refusal()).toMatchObject(CHANGED)
    expect(shown).toEqual([])
  })

  it('when the vault has nothing under its key', async () => {
    entries.clear()
    expect(await refusal()).toMatchObject({
      code: 'connection_missing',
      message: 'the vault holds no secret for "main"',
      hint: 'store it again with: broker connect ledger main',
    })
  })

  it('and no refusal holds any part of the secret', async () => {
    tamper(`UPDATE connections SET origin = 'https://thief.example' WHERE name = 'main'`)
    const error = await refusal()
    expect(JSON.stringify([error.message, error.hint, error.details, error.stack])).not.toContain(
      CANARY,
    )
  })
})

describe('a connection as it was stored', () => {
  it('is opened with the certificates that were sealed', async () => {
    const opened = await use()
    expect(opened).toMatchObject({
      name: 'main',
      settings: { url: 'https://api.example', caFile: '/etc/ca.pem' },
      ca: CA,
    })
    expect(opened?.secret?.reveal()).toBe(CANARY)
  })

  it('is refused when the path of certificates comes without them', async () => {
    await expect(store('late', CANARY, { caFile: '/etc/ca.pem' })).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'the certificates of "caFile" are not with it',
    })
  })

  it('keeps the certificates out of the database, where they could be exchanged', async () => {
    const stored = await context.store.read.connection('main')
    expect(stored?.settings).toEqual({ url: 'https://api.example', caFile: '/etc/ca.pem' })
  })

  it('is opened again after its secret was given again', async () => {
    tamper(`UPDATE connections SET settings = '{}', origin = 'https://thief.example'`)
    expect((await refusal()).code).toBe('connection_missing')
    await store('main', 'rotated', SETTINGS)
    expect((await use())?.secret?.reveal()).toBe('rotated')
    expect(entries.size).toBe(1)
  })
})
