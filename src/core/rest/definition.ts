import type { Risk } from '../risk.ts'

/**
 * A REST API as data: all that the broker knows of a provider named under `providers:` in broker.yaml,
 * with every default filled in. Plain JSON. Whether it holds together is for `faultsOf` to say.
 */
export interface RestDefinition {
  /** Exact names, lower-case. The credential goes nowhere else. */
  readonly hosts: readonly string[]
  readonly credential: RestCredential
  readonly phantom: PhantomForm
  /** Environment variables of the task. `{credential}` and `{name}` of a place are filled in. */
  readonly variables: Readonly<Record<string, string>>
  /** Where requests name their environment, unless an operation says otherwise. */
  readonly environment: RestEnvironment
  readonly operations: readonly RestOperation[]
  /** A request that tells whether the stored credential works; null: none is known. */
  readonly check: RestCheck | null
}

/** How requests carry the credential. */
export interface RestCredential {
  /** Lower-case. */
  readonly header: string
  readonly scheme: 'bearer' | 'basic' | 'raw'
  /** With `basic` (RFC 7617) exactly one of the two: the other half is the credential. */
  readonly user: string | null
  readonly password: string | null
}

/** What a task's own token looks like. */
export interface PhantomForm {
  readonly prefix: string
  /** The whole length, prefix included. */
  readonly length: number
  readonly charset: Charset
}

export const CHARSETS = {
  hex: '0123456789abcdef',
  base32: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
  base62: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
  base64url: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_',
  digits: '0123456789',
} as const
export type Charset = keyof typeof CHARSETS

/** How many random bits a token of that form holds. */
export function phantomBits({ prefix, length, charset }: PhantomForm): number {
  return Math.max(0, length - prefix.length) * Math.log2(CHARSETS[charset].length)
}

/** Without places there is a reason: then the whole account counts as one environment. */
export interface RestEnvironment {
  readonly places: readonly RestPlace[]
  readonly reason: string | null
}

export const PLACES = ['path', 'query', 'header', 'host', 'body'] as const

export interface RestPlace {
  readonly in: (typeof PLACES)[number]
  /** What a binding in broker.yaml calls it. */
  readonly name: string
  /** The placeholder, parameter, lower-case header or JSON pointer; empty for `host`. */
  readonly at: string
}

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
export type Method = (typeof METHODS)[number]

/**
 * `none` has to be empty, `json` and `form` are read and written anew, `multipart` and `stream` pass
 * unread. Of a POST the latter two are told apart, because a form's field may turn it into another
 * method.
 */
export const BODIES = ['none', 'json', 'form', 'multipart', 'stream'] as const
export type RestBody = (typeof BODIES)[number]

export interface RestOperation {
  /** What rules call it. Several paths may share a name, and then a risk. */
  readonly name: string
  readonly risk: Risk
  readonly method: readonly Method[]
  /** See `path-template.ts`. */
  readonly path: string
  /** The parameters it takes; `any`: all but those that look like credentials. */
  readonly query: 'any' | readonly string[]
  readonly body: RestBody
  /** JSON pointer → value: it is this operation only where all of them stand in the body. */
  readonly when: Readonly<Record<string, string | number | boolean | null>>
  readonly environment: RestEnvironment
  /** Which placeholder names the thing it acts on, for approvals and the audit. */
  readonly target: { readonly kind: string; readonly id: string } | null
}

export interface RestCheck {
  readonly method: 'GET' | 'HEAD'
  readonly path: string
}

/** The parameters that say where a lease works, in the order of their places. */
export function parametersOf({ environment }: RestDefinition): readonly string[] {
  return environment.places.map(({ name }) => name)
}

/** Steps of a JSON pointer (RFC 6901 §4); null: it is none, or it counts in lists. */
export function pointerSteps(pointer: string): readonly string[] | null {
  if (!/^(?:\/(?:[^/~]|~[01])+)+$/.test(pointer)) return null
  const steps = pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  return steps.some((step) => /^(?:[0-9]+|-)$/.test(step)) ? null : steps
}

/** What the ids of environments look like. Compared exactly; nothing in them needs an escape. */
export const ENVIRONMENT_ID = /^[A-Za-z0-9][A-Za-z0-9._:@~-]{0,199}$/
