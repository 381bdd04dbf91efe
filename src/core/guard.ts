import type { Risk } from './risk.ts'

/**
 * What a guard is shown of one request: everything that may decide what it does. Bytes are as
 * received, before anything was decoded but transfer coding.
 */
export interface RequestFacts {
  /** As received; methods are case-sensitive (RFC 9110 §9.1). */
  readonly method: string
  /** Lower-case host, with the port only where it is not the scheme's own. */
  readonly authority: string
  /** The raw path, from its first slash, without the query. */
  readonly path: string
  /** The raw query without its question mark; null where there is no question mark. */
  readonly query: string | null
  /** In order of arrival, names in lower case, one entry per field line. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Null: not read, because it is forwarded as a stream that nobody judges. */
  readonly body: Uint8Array | null
}

/** One thing a request names. `kind` is a word of the provider ("volume"), `id` the provider's own. */
export interface Resource {
  readonly kind: string
  readonly id: string
}

/**
 * How it is known which environment an operation touches. An operation may have several; all of them
 * have to come out as the lease's own environment, or it does not go.
 */
export type EnvironmentSource =
  /** The request names the environment itself. */
  | { readonly from: 'argument'; readonly id: string }
  /** It could have named it and did not, which widens the operation: to be refused. */
  | { readonly from: 'optional-argument-missing'; readonly argument: string }
  /**
   * To be asked of the provider. `environment`: everything the resource consists of, all instances of
   * a volume, all environments of a project, has to lie in the lease's environment. `project`: it has
   * to belong to the lease's project, because nothing of a single environment is touched through it.
   */
  | {
      readonly from: 'lookup'
      readonly resource: Resource
      readonly match: 'environment' | 'project'
    }
  /** About the lease's own token, or about nothing that anybody owns. Nothing to compare. */
  | { readonly from: 'lease' }
  /** About an account or a workspace: in no environment, so outside every lease. */
  | { readonly from: 'account' }

/** One named operation that a request would run. */
export interface Operation {
  /** As in the provider's catalogue. */
  readonly name: string
  /** The catalogue's risk of that name. */
  readonly risk: Risk
  /** Everything it names, for people and for the audit. */
  readonly resources: readonly Resource[]
  /** Never empty. */
  readonly environments: readonly EnvironmentSource[]
}

/** What has to be read at the provider, with the real credential, before the request can be judged. */
export interface Need {
  /** Changes that were put aside earlier and that this request would carry out. */
  readonly kind: 'staged-patch'
  readonly environment: string
}

/** What may be sent: exactly what was judged. */
export type Forward =
  /** Replaces the body and its media type; `operations` describes these bytes and no others. */
  | { readonly kind: 'body'; readonly contentType: string; readonly text: string }
  /** The body goes through unread: what it does is known without it. */
  | { readonly kind: 'stream' }
  /** A connection to be upgraded; every message on it is judged on its own. */
  | { readonly kind: 'channel'; readonly protocol: string }

/** Every operation a request would run. All of them have to be allowed, or the request is refused. */
export interface Classified {
  readonly outcome: 'classified'
  /** Sorted by name, without repetitions. Empty only where nothing runs yet (a channel). */
  readonly operations: readonly Operation[]
  /** Where not empty, `operations` is not yet the whole truth, and the request must not go as it is. */
  readonly needs: readonly Need[]
  readonly forward: Forward
}

/** Codes of the proxy's refusals that a guard can come to by itself. */
export type RefusalCode =
  | 'request_malformed'
  | 'request_too_large'
  | 'operation_denied'
  | 'environment_unknown'
  | 'environment_mismatch'

/** A request that no rule could allow. */
export interface Refusal {
  readonly outcome: 'refused'
  readonly code: RefusalCode
  /** One lower-case line in our own words; names fields and arguments, never a value. */
  readonly message: string
  /** The operation it is about, where one was recognised. */
  readonly operation: string | null
  /** `admin` for what no catalogue knows; null where there was nothing to rate. */
  readonly risk: Risk | null
}

export type Verdict = Classified | Refusal
