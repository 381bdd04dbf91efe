// The exchange over a real database, a real issuer and real signatures; only time is the test's own.
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Context, Policy, SubjectCaller } from '../../src/broker/context.ts'
import {
  type ExchangeAnswer,
  type ExchangeRequest,
  exchangeToken,
} from '../../src/broker/exchange/exchange.ts'
import { identify } from '../../src/broker/exchange/identify.ts'
import { Refusals } from '../../src/broker/exchange/refusals.ts'
import { compileTrusts } from '../../src/broker/trust.ts'
import type { Verification } from '../../src/core/subject.ts'
import type { Configuration, Template } from '../../src/core/template.ts'
import { isIssuerReason } from '../../src/identity/oidc/refused.ts'
import { verifyIdentityToken } from '../../src/identity/oidc/verify-identity-token.ts'
import { SigningKeys } from '../../src/identity/signing-keys.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createJwt } from '../../src/providers/jwt/provider.ts'
import type { Provider } from '../../src/providers/provider.ts'
import { openSqlite } from '../../src/store/sqlite.ts'
import { createLedger, type Ledger, ledgerProvider } from '../fakes/ledger-provider.ts'
import { createContext, KEYS, type TestContext } from '../fixtures/context.ts'
import { AUDIENCE, githubClaims } from '../fixtures/oidc-claims.ts'
import { signToken } from '../fixtures/oidc-issuer.ts'
import { corpusKeys, NOW, OidcWorld } from '../fixtures/oidc-world.ts'

export { AUDIENCE } from '../fixtures/oidc-claims.ts'
export { NOW } from '../fixtures/oidc-world.ts'

/** What every rule here names: the repository of `githubClaims`. */
export const REPOSITORY = { repository_id: '456789', ref: 'refs/heads/main' }
export const ADDRESS = '192.0.2.7'

const KEY_SET = corpusKeys()

export class Exchange {
  readonly world: OidcWorld
  readonly ledger: Ledger
  readonly providers: Map<string, Provider>
  context: TestContext
  #policy: Policy
  #jobs = 0

  private constructor(world: OidcWorld, ledger: Ledger, providers: Map<string, Provider>) {
    this.world = world
    this.ledger = ledger
    this.providers = providers
    this.context = undefined as never
    this.#policy = undefined as never
  }

  static async open(): Promise<Exchange> {
    const ledger = createLedger()
    const providers = new Map([
      ['jwt', createJwt()],
      ['ledger', ledgerProvider(ledger)],
    ])
    const exchange = new Exchange(await OidcWorld.open('', KEY_SET), ledger, providers)
    exchange.apply({ deploy: {} })
    const context = await createContext(createJwt(), {}, exchange.#parts())
    context.clock.now = NOW
    exchange.context = context
    return exchange
  }

  get issuer(): string {
    return this.world.issuer.url
  }

  /** Templates by name; each has one rule for `REPOSITORY` and one jwt grant, unless it says otherwise. */
  apply(templates: Readonly<Record<string, Partial<Template>>>, more: Partial<Configuration> = {}) {
    const binding = (provider: string, target: JsonObject = {}) => {
      return { provider, connection: null, target }
    }
    const bindings = {
      api: binding('jwt', { audience: 'https://api.example' }),
      db: binding('ledger'),
      other: binding('ledger'),
    }
    const configuration: Configuration = {
      environments: {
        ci: { name: 'ci', protected: false, bindings },
        staging: { name: 'staging', protected: false, bindings },
        production: { name: 'production', protected: true, bindings },
      },
      providers: {},
      templates: Object.fromEntries(
        Object.entries(templates).map(([name, one]) => [name, this.#template(name, one)]),
      ),
      ...more,
    }
    this.#policy = {
      version: 1,
      configuration,
      templates: new Map(Object.keys(templates).map((name) => [name, VERSION])),
      trust: compileTrusts(configuration, { ours: AUDIENCE, plainLoopback: false }),
    }
  }

  #template(name: string, changes: Partial<Template>): Template {
    return {
      name,
      description: '',
      isDefault: false,
      environments: ['ci'],
      ttlMs: 1_800_000,
      maxTtlMs: 3_600_000,
      isolation: 'scrub',
      egress: 'open',
      unconfined: false,
      who: [this.rule(REPOSITORY)],
      approval: 'none',
      confirm: 'totp',
      approvalWaitMs: 60_000,
      maxLive: null,
      grants: { api: { allow: ['orders:read', 'orders:write'], approve: [], deny: [] } },
      ...changes,
    }
  }

  rule(claims: Readonly<Record<string, string>>): Template['who'][number] {
    return { kind: 'oidc', issuer: this.issuer, audience: null, claims }
  }

  /** A token of a job of its own, unless `claims` say which. */
  token(claims: JsonObject = {}): Promise<Secret> {
    const n = ++this.#jobs
    const own = { jti: `jti-${n}`, check_run_id: `job-${n}` }
    const all = { ...githubClaims(this.issuer, this.world.now), ...own, ...claims }
    return signToken(this.world.keys.signer, all).then((text) => new Secret(text))
  }

  identify(token: Secret, address = ADDRESS): Promise<SubjectCaller> {
    return identify(this.context, token, address)
  }

  async ask(
    token: Secret,
    request: Partial<ExchangeRequest> = {},
    context: Context = this.context,
  ): Promise<ExchangeAnswer> {
    const caller = await identify(context, token, ADDRESS)
    return exchangeToken(context, caller, token, { environment: 'ci', wanted: null, ...request })
  }

  /** Time passes for everybody. */
  pass(ms: number): void {
    this.context.clock.now += ms
    this.world.now += ms
  }

  /** Another run of the broker, over the database as it stands on the disk now: as after a kill -9. */
  async afterCrash(): Promise<TestContext> {
    const folder = mkdtempSync(join(tmpdir(), 'broker-crash-'))
    const path = join(folder, 'broker.sqlite')
    for (const suffix of ['', '-wal']) {
      const from = join(this.context.folder, `broker.sqlite${suffix}`)
      if (existsSync(from)) copyFileSync(from, path + suffix)
    }
    const { clock, log } = this.context
    const now = () => clock.now
    const store = await openSqlite({ path, keys: KEYS, now })
    const refusals = new Refusals({ store, now, log })
    const dispose = async () => {
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    }
    return {
      ...this.context,
      ...{ store, refusals, dispose, folder, bootId: 'boot-2', revoking: new Map() },
    }
  }

  async entries(type?: string, context: Context = this.context): Promise<readonly Told[]> {
    const entries = await context.store.read.entries({ after: 0, limit: 5000 })
    return entries
      .filter((entry) => type === undefined || entry.type === type)
      .map((entry) => ({ type: entry.type, lease: entry.lease, data: JSON.parse(entry.data) }))
  }

  async close(): Promise<void> {
    await this.context.dispose()
    await this.world.close()
  }

  #parts(): Partial<Context> {
    const stored: { keys: readonly object[]; secret: Secret | null } = { keys: [], secret: null }
    const signing = new SigningKeys({
      vault: {
        get: async () => stored.secret,
        set: async (_name, secret) => {
          stored.secret = secret
        },
      },
      shelf: {
        readPublic: async () => stored.keys as never,
        writePublic: async (keys) => {
          stored.keys = keys
        },
      },
      now: () => this.world.now,
    })
    return {
      provider: async (name) => {
        const provider = this.providers.get(name)
        if (!provider) throw new Error(`no provider ${name}`)
        return provider
      },
      policy: async () => this.#policy,
      issuer: AUDIENCE,
      audience: AUDIENCE,
      signer: () => signing.signer(),
      verifySubject: (token) => this.#verify(token),
    }
  }

  async #verify(token: Secret): Promise<Verification> {
    const verified = await verifyIdentityToken(token, {
      trusted: this.#policy.trust.issuers,
      keys: this.world.issuers,
      now: this.world.now,
    })
    if (verified.outcome === 'refused') {
      const { reason, message } = verified
      return { outcome: isIssuerReason(reason) ? 'unavailable' : 'refused', reason, message }
    }
    const { issuer, claims, identity, expiresAt } = verified
    return { outcome: 'verified', subject: { issuer, claims, token: identity, expiresAt } }
  }
}

export interface Told {
  readonly type: string
  readonly lease: string | null
  // biome-ignore lint/suspicious/noExplicitAny: whatever the entry says, for the test to look at
  readonly data: any
}

const VERSION = { version: 1, sha256: 'f'.repeat(64) }

/** What an exchange does to be refused, as code and message. */
export async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error = await work.then(
    () => {
      throw new Error('it was let in')
    },
    (error: unknown) => error as { code: string; message: string },
  )
  return { code: error.code, message: error.message }
}
