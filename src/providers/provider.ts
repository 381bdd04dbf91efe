import type { Capability, Mode } from '../core/lease.ts'
import type { Catalogue } from '../core/risk.ts'
import type { LeaseId, Random } from '../lib/ids.ts'
import type { Json, JsonObject } from '../lib/json.ts'
import type { Secret } from '../lib/secret.ts'
import type { Guard, Narrowness, Proxied } from './guard.ts'

/** The outside world as a provider sees it. Everything that varies is handed in. */
export interface World {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: Random
  /** Marks everything this installation makes elsewhere; `[0-9a-z]{8}`. */
  readonly installId: string
  /** The issuer of our own tokens. */
  readonly issuer: string
  /** Our own signing key, for providers that mint by signing. Throws `vault_locked`/`vault_unavailable`. */
  readonly signer: () => Promise<Signer>
  /** Ends calls that outlive their usefulness (the mint or revoke timeout). */
  readonly signal: AbortSignal
}

export interface Signer {
  /** Signs a JWT with our current key (EdDSA); the header's `typ` is given, `kid` and `alg` are added. */
  readonly sign: (typ: string, claims: JsonObject) => Promise<string>
}

/** A stored connection, opened for one call. */
export interface Connection {
  readonly name: string
  readonly secret: Secret | null
  /** From `--set`, `--url`, `--ca-file`. */
  readonly settings: JsonObject
  /** The certificates of `--ca-file` (PEM), as they were when the secret was given. */
  readonly ca?: string
}

/** A TCP service, by the host and port that a client is told. */
export interface Endpoint {
  /** A name, an address without brackets, or the folder of a unix socket (begins with `/`). */
  readonly host: string
  readonly port: number
}

/** What a lease wants of a provider: already decided, nothing here is policy. */
export interface MintRequest {
  readonly lease: LeaseId
  /** The grant's name within the lease. */
  readonly grant: string
  readonly environment: string
  /** Exact operations, sorted, each known to the catalogue (or well-formed, if it is open). */
  readonly operations: readonly string[]
  /** As returned by `parseTarget`. */
  readonly target: JsonObject
  /** Milliseconds since the epoch. The credential must not work later, where the provider can say so. */
  readonly notAfter: number
  /** Who asks, for the provider's own records. */
  readonly principal: string
  /** What the variables have to call a host of `endpoints`, which the task may know by another name. */
  readonly hostInside?: (host: string) => string
}

export interface Minted {
  /** Environment variables for the child: the credential itself and its companions. */
  readonly variables: Secret<Readonly<Record<string, string>>>
  /** What revocation may use beside the recipe: ids, never a secret. */
  readonly handle: Json
  /** When the provider itself ends it; null if it never does. */
  readonly expiresAt: number | null
  /** Lower-case one-liners for the receiver ("tables created later by app_owner are not covered"). */
  readonly notes: readonly string[]
  /** Exactly where the provider has a guard. */
  readonly proxied?: Proxied
}

/** How a revocation went. Anything else is thrown. */
export type Revocation =
  /** It does not work any more, and the provider said so. `notes` go into the audit entry. */
  | { readonly outcome: 'revoked'; readonly notes: readonly string[] }
  /** There was nothing to revoke. Success, outside the consistency window. */
  | { readonly outcome: 'absent' }
  /** The provider cannot: it works until `until`. */
  | { readonly outcome: 'expires'; readonly until: number }

export interface NarrownessRequest {
  readonly target: JsonObject
  /** Exact operations, sorted. */
  readonly operations: readonly string[]
  readonly connection: Connection | null
  readonly probe: boolean
}

/** One thing found at the provider that carries our install id. */
export interface Listed {
  /** Enough to revoke it, as `plan` would have returned it. */
  readonly recipe: JsonObject
  /** From the name or label; null when it cannot be read from it. */
  readonly lease: LeaseId | null
}

/** One line of what `connect` and `doctor` say about a connection. */
export interface Finding {
  readonly level: 'ok' | 'note' | 'warning' | 'problem'
  /** Lower-case, one line. */
  readonly message: string
  /** What the admin may do about it, e.g. the SQL to run. Null: nothing to do. */
  readonly hint: string | null
}

/**
 * One kind of upstream system. Keeps no state that matters between calls (pools may be cached).
 * Error text from upstream may quote secrets: throw `BrokerError('provider_failed' |
 * 'provider_unavailable')` with text of our own and the original only as `cause`.
 * `provider_unavailable`: may work later (network, overload, starting up). `provider_failed`: will not
 * without someone's help (credential refused, privilege missing, bad target).
 */
export interface Provider {
  /** For logs and metrics. No behaviour is switched on it. */
  readonly name: string
  readonly mode: Mode
  readonly capability: Capability
  readonly catalogue: Catalogue
  /** What `connect` asks for; null: it needs no connection. */
  readonly secretPrompt: string | null
  /** "Not found" proves absence only this long after the mint began. Milliseconds. */
  readonly consistencyMs: number

  /**
   * Checks the settings of a binding in broker.yaml, fills in defaults. Unknown keys are errors.
   * Throws `config_invalid` with `details: { path: [...] }` pointing into the binding.
   */
  parseTarget(target: JsonObject): JsonObject

  /** Checks the shape of a secret and settings before anything is sent. Throws `invalid_request`. */
  parseConnection?(connection: Connection): void

  /**
   * The address this secret belongs to (scheme, host, port), never a part of the secret. While
   * leases live there, the connection cannot be pointed elsewhere: nobody would end them.
   */
  origin?(connection: Connection): string

  /** Asks the provider what the credential is and can do; throws if it is refused or unreachable. */
  check?(connection: Connection, world: World): Promise<readonly Finding[]>

  /**
   * Decides, before the call, all that a clean-up will need if we die during it. Pure, and quick.
   * The result is stored with the lease before `mint` is called.
   */
  plan(request: MintRequest, installId: string, connection: Connection | null): JsonObject

  /** Mints what `plan` planned. Called at most once for a recipe. Narrower is fine, wider never. */
  mint(
    request: MintRequest,
    recipe: JsonObject,
    connection: Connection | null,
    world: World,
  ): Promise<Minted>

  /**
   * Makes it useless, or finds it gone. Safe to repeat, and safe after an interrupted mint, when
   * `handle` is null and only the recipe is known.
   */
  revoke(
    recipe: JsonObject,
    handle: Json,
    connection: Connection | null,
    world: World,
  ): Promise<Revocation>

  /** Everything there that carries our install id. Present where the provider can list. */
  list?(connection: Connection, world: World): Promise<readonly Listed[]>

  /** How its requests are judged at the proxy. Present exactly where `mode` is `proxied`. */
  readonly guard?: Guard

  /**
   * What of a grant is enforced, and by whom. With `probe` it is tried: something narrow is minted,
   * used where it must not work, and revoked before this returns.
   */
  narrowness?(grant: NarrownessRequest, world: World): Promise<readonly Narrowness[]>

  /**
   * Services that the variables of a native grant name, other than over HTTP: a task without a network of
   * its own is led to these, and to nothing else. Pure. Absent: none.
   */
  endpoints?(connection: Connection | null, target: JsonObject): readonly Endpoint[]

  /**
   * Which of the variables is a bearer token that is of use by itself (RFC 6750), so that an exchange can
   * answer with it. Absent: there is no such one.
   */
  bearer?(target: JsonObject): string

  /** Names of the variables `mint` will return for this target. For `--dry-run` and clash checks. */
  variables(target: JsonObject): readonly string[]

  /** Lets go of cached connections. May be repeated. */
  close?(): Promise<void>
}
