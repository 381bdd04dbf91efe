import { randomBytes, randomUUID } from 'node:crypto'
import { ApprovalHub } from '../broker/approval/hub.ts'
import { Turns } from '../broker/authorize/turns.ts'
import type { Context, Log } from '../broker/context.ts'
import { Refusals } from '../broker/exchange/refusals.ts'
import type { Verification } from '../core/subject.ts'
import { SigningKeys } from '../identity/signing-keys.ts'
import type { Registry } from '../providers/registry.ts'
import type { Store } from '../store/store.ts'
import { openVault } from '../vault/open.ts'
import type { Config } from './config.ts'
import type { PolicyCell } from './policy-cell.ts'
import { Providers } from './providers.ts'
import type { TokenReading } from './routes/oauth.ts'

/** Most live leases of one person, and of one template without `maxLive`. */
const LIMITS = { perPrincipal: 1000, perTemplate: 1000 }

export interface Parts {
  readonly store: Store
  readonly installId: string
  readonly registry: Registry
  readonly policy: PolicyCell
  readonly log: Log
  readonly onEnding: Context['onEnding']
  readonly openProxy: Context['openProxy']
  readonly openPlace: Context['openPlace']
  readonly fingerprint: Context['fingerprint']
  /** Of a server: what it is called from outside, and the issuer of its tokens. */
  readonly publicUrl?: string
  /** Of a server. Without it every identity token is refused. */
  readonly verifySubject?: Context['verifySubject']
}

/** Everything the use cases need, made real. */
export async function buildContext(
  config: Config,
  parts: Parts,
): Promise<{ context: Context; reading: TokenReading }> {
  const { store, installId, registry, policy, log } = parts
  const vault = await openVault({
    home: config.home,
    kind: config.vaultKind,
    passphrase: config.passphrase,
    keyFile: config.vaultKeyFile,
  })
  const signingKeys = new SigningKeys({ vault, shelf: publicKeyShelf(store), now: Date.now })
  const local = `https://broker.localhost/${installId}`
  const issuer = parts.publicUrl ?? local
  const providers = new Providers(registry, () => policy.current())
  const context: Context = {
    store,
    vault,
    provider: (name) => providers.get(name),
    builtinProviders: registry.names,
    providerNames: () => providers.names(),
    policy: () => policy.current(),
    now: Date.now,
    random: randomBytes,
    installId,
    bootId: randomUUID(),
    issuer,
    audience: issuer,
    verifySubject: parts.verifySubject ?? refuseSubject,
    refusals: new Refusals({ store, now: Date.now, log }),
    signer: () => signingKeys.signer(),
    limits: LIMITS,
    log,
    revoking: new Map(),
    onEnding: parts.onEnding,
    approvals: new ApprovalHub(),
    lanes: new Map(),
    connections: { version: 0 },
    turns: new Turns(),
    fingerprint: parts.fingerprint,
    openProxy: parts.openProxy,
    openPlace: parts.openPlace,
  }
  const reading: TokenReading = {
    readToken: async (token) => {
      const { readAccessToken } = await import('../identity/access-token.ts')
      const jwks = await signingKeys.jwks()
      // Those made while it was not a server, or was one of another name, are its own all the same.
      const ours = [issuer, local]
      const claims = await readAccessToken(token, { jwks, issuer: ours, now: Date.now() })
      return claims && { ...claims }
    },
    jwks: async () => JSON.parse(JSON.stringify(await signingKeys.jwks())),
  }
  return { context, reading }
}

async function refuseSubject(): Promise<Verification> {
  const message = 'only a server takes identity tokens'
  return { outcome: 'refused', reason: 'no_server', message }
}

function publicKeyShelf(store: Store) {
  return {
    readPublic: async () => JSON.parse((await store.read.setting('public_keys')) ?? '[]'),
    writePublic: (keys: readonly unknown[]) =>
      store.write((writer) => writer.saveSetting('public_keys', JSON.stringify(keys))),
  }
}
