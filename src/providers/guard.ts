import type { Classified, RequestFacts, Resource, Verdict } from '../core/guard.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Secret } from '../lib/secret.ts'
import type { Connection, World } from './provider.ts'

/**
 * What the gate has to know of a proxied provider: where its requests go, how they carry the
 * credential, what they would do, and where the things they name lie. Decides nothing: rules,
 * approvals and audit are the gate's.
 */
export interface Guard {
  /**
   * Lower-case names without ports or wildcards. Requests to them are intercepted, and the
   * credential is put in nowhere else.
   */
  readonly hosts: readonly string[]
  /** Every way in which its clients send the credential. Anything else is a foreign credential. */
  readonly carriers: readonly Carrier[]
  /** True where clients look for errors in a GraphQL answer. Asked of the head alone. */
  graphql?(request: RequestFacts): boolean
  /**
   * How many bytes of the body have to be read before `classify`; null: it is told without, and the
   * body is streamed. Asked of the head alone (`body` is null).
   */
  inspect(request: RequestFacts): number | null
  /**
   * Pure: decided by nothing but the request it is shown, so that what it said of one holds for the
   * same bytes again. What it does not understand is refused.
   */
  classify(request: RequestFacts): Verdict
  /** Pure. One text message on an upgraded connection. Absent: no upgrades. */
  classifyMessage?(text: string): Verdict
  /**
   * Pure. The message that tells the client that its own was refused, as the protocol has it. Null:
   * the protocol has none for that, and the connection is closed.
   */
  messageError?(text: string, error: MessageError): string | null
  /** The lease's own place, from a target as `parseTarget` returned it. */
  place(target: JsonObject): Place
  /**
   * Where a resource lies, asked of the provider with the real credential. `fresh`: no cache, because
   * something that cannot be undone depends on it. Null: there is no such thing, as far as the
   * provider says. Throws like `Provider.mint`.
   */
  locate(resource: Resource, question: Question): Promise<Location | null>
  /** Reads what a `Need` asks for and judges the request again with it: no needs are left. */
  settle?(classified: Classified, question: Question): Promise<Verdict>
  /**
   * Answers a request about the lease's own credential in the provider's stead. Null: it is no such
   * request. Throws `denied` where it is one and cannot be answered.
   */
  answer?(
    request: RequestFacts,
    classified: Classified,
    question: Question,
  ): Promise<string | null> | null
  /** The fields that carry a credential upstream; every carrier of the request is removed before. */
  inject(credential: Credential): readonly (readonly [name: string, value: Secret])[]
  /** Pure. Where the real traffic goes: the public host's origin, or the connection's own `--url`. */
  upstream(connection: Connection, host: string): Upstream
  /** False for operations that the minted credential cannot do: then the connection's own goes. */
  mintedSuffices?(classified: Classified): boolean
}

/** An entry of GraphQL's `errors` (§7.1.2), or what comes nearest to it elsewhere. */
export interface MessageError {
  readonly message: string
  /** The refusal's members (RFC 9457). */
  readonly extensions: JsonObject
}

export interface Carrier {
  /** Lower-case header name. */
  readonly header: string
  /** `raw`: the value is the credential. `basic`: it is the user or the password (RFC 7617). */
  readonly scheme: 'bearer' | 'basic' | 'raw'
}

export interface Question {
  readonly target: JsonObject
  readonly connection: Connection
  readonly world: World
  readonly fresh: boolean
}

/** One lease's place at the provider. Ids compare exactly. */
export interface Place {
  readonly environment: string
  /** Null where the provider has no level above environments. */
  readonly project: string | null
}

export interface Location {
  /** What people call it; null where it has no name. Comes from outside: escape it before showing. */
  readonly name: string | null
  /** Everywhere that a part of it lies. Empty: unknown, which is never the lease's own. */
  readonly environments: readonly Named[]
  readonly project: Named | null
  /** What else goes with it when it is destroyed, in lower-case words: "3 backups". */
  readonly notes: readonly string[]
}

export interface Named {
  readonly id: string
  readonly name: string | null
}

export interface Credential {
  readonly secret: Secret
  /** `minted`: made for this lease alone. `connection`: the stored one. */
  readonly kind: 'minted' | 'connection'
  readonly connection: Connection
}

export interface Upstream {
  /** `https://host[:port]`, nothing behind it. */
  readonly origin: string
  /** PEM; besides the public roots. */
  readonly ca: string | null
  /** The person who stored the connection named this address: it may be a loopback one. */
  readonly chosen: boolean
}

/** What the gate keeps of a proxied grant while its lease lives, in memory only. */
export interface Proxied {
  /** What the task holds; found in requests by comparing. */
  readonly phantom: Secret
  /** A narrower credential made for this lease; null: there is none. */
  readonly minted: Secret | null
}

/** How much of what a template grants is enforced, and by whom (for `connect` and `doctor --probe`). */
export interface Narrowness {
  readonly by: 'provider' | 'proxy' | 'nobody'
  /** Lower-case, one line: what holds, or what does not. */
  readonly message: string
  /** True: tried just now, not only known from the documentation. */
  readonly probed: boolean
}
