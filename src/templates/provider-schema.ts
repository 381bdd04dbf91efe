import { z } from 'zod'
import { BODIES, CHARSETS, METHODS } from '../core/rest/definition.ts'
import { RISKS, type Risk } from '../core/risk.ts'

/**
 * One entry of `providers:`. Shape only: what has to hold between its parts is for
 * `core/rest/faults.ts` to say. Every key has a description, because the JSON Schema made of this is
 * what editors show.
 */

const text = (most: number) => z.string().min(1).max(most)
const words = <const Word extends string>(list: readonly Word[]) =>
  z.enum(list as readonly [Word, ...Word[]])

const credential = z.strictObject({
  header: text(80)
    .optional()
    .meta({ description: 'the header that carries it; authorization if left out' }),
  scheme: z.enum(['bearer', 'basic', 'raw']).meta({
    description:
      'bearer: "Bearer CREDENTIAL"; basic: user and password (RFC 7617); raw: the credential alone',
  }),
  user: text(200)
    .optional()
    .meta({ description: 'with basic: the fixed user; the credential is the password' }),
  password: z
    .string()
    .max(200)
    .optional()
    .meta({ description: 'with basic: the fixed password, may be ""; the credential is the user' }),
})

const phantom = z.strictObject({
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9._~-]{0,40}$/)
    .optional()
    .meta({ description: 'how credentials of this provider begin, like tk_live_' }),
  length: z.int().min(1).max(512).meta({ description: 'the whole length, prefix included' }),
  charset: words(Object.keys(CHARSETS) as (keyof typeof CHARSETS)[]).meta({
    description: 'what stands behind the prefix; at least 128 random bits are needed',
  }),
})

const name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/)
  .optional()
  .meta({ description: 'what environments call it; an operation need not repeat it' })

const at = (description: string) => text(200).optional().meta({ description })

const place = z.discriminatedUnion('in', [
  z
    .strictObject({ in: z.literal('path'), name })
    .meta({ description: 'a placeholder of the path, called as the place is' }),
  z
    .strictObject({ in: z.literal('host'), name })
    .meta({ description: 'each host is an environment' }),
  z.strictObject({
    in: z.literal('query'),
    name,
    at: at('the parameter of the query, where it is not called so'),
  }),
  z.strictObject({
    in: z.literal('header'),
    name,
    at: at('the header, where it is not called so'),
  }),
  z.strictObject({
    in: z.literal('body'),
    name,
    at: at('the JSON pointer of a member, like /data/workspace'),
  }),
])

const nowhere = z
  .strictObject({
    in: z.literal('none'),
    reason: text(200).meta({ description: 'why nothing tells environments apart' }),
  })
  .meta({ description: 'nothing is compared: the whole account is one environment' })

const environment = z
  .union([z.discriminatedUnion('in', [place, nowhere]), z.array(place).min(1).max(4)])
  .meta({ description: 'one place, or several that only together name an environment' })

const target = z.strictObject({
  kind: z
    .string()
    .regex(/^[a-z][a-z0-9 _-]{0,39}$/)
    .meta({ description: 'what it is, in a word: ticket' }),
  id: text(63).meta({ description: 'the placeholder of the path that names it' }),
})

const method = words(METHODS)

const operation = z.strictObject({
  name: text(100).meta({ description: 'what templates call it, like tickets.delete' }),
  method: z.union([method, z.array(method).min(1)]).meta({
    description: 'one method or several; HEAD only where it is named',
  }),
  path: text(1000).meta({
    description:
      'like /v1/{workspace}/tickets/{id}; {x} is one segment without a colon, {x:number}, {x:uuid} narrower, {x:text} with colons',
  }),
  risk: words<Risk>(RISKS).meta({ description: 'how much harm it can do' }),
  query: z
    .union([z.literal('any'), z.array(text(100)).max(200)])
    .optional()
    .meta({ description: 'the parameters it takes; any (the default): all but credentials' }),
  body: words(BODIES).optional().meta({
    description:
      'none: it has to be empty; json and form are read (1 MiB at most) and written anew; multipart and stream pass unread. Left out: json for POST, PUT and PATCH, none for the others. A POST with multipart is for servers that take no method from a form field',
  }),
  when: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .optional()
    .meta({ description: 'JSON pointer to value: it is this operation only with that body' }),
  environment: environment.optional().meta({
    description: 'where this operation names its environment, if not where the others do',
  }),
  target: target.optional().meta({ description: 'what it acts on, for approvals and the audit' }),
})

const check = z.strictObject({
  method: z.enum(['GET', 'HEAD']).optional().meta({ description: 'GET if left out' }),
  path: text(1000).meta({ description: 'answered with 401 or 403 where a credential is not good' }),
})

export const providerSchema = z.strictObject({
  description: z.string().max(1000).optional().meta({ description: 'for the reader' }),
  hosts: z
    .array(text(253))
    .min(1)
    .max(50)
    .meta({ description: 'exact names; the credential is put in at no other' }),
  credential: credential.meta({ description: 'how requests carry the credential' }),
  phantom: phantom
    .optional()
    .meta({ description: 'what the token of a task looks like, so that clients accept it' }),
  variables: z.record(z.string(), z.string().max(2000)).meta({
    description: 'what a task gets; {credential} and the names of the environment are filled in',
  }),
  environment: environment.meta({
    description: 'where requests name the environment they work in',
  }),
  operations: z
    .array(operation)
    .min(1)
    .max(1000)
    .meta({ description: 'all that may be asked for; any other request is refused' }),
  check: check
    .optional()
    .meta({ description: 'the request by which broker connect tries the credential' }),
})

/** The keys that each kind of map knows. */
export const PROVIDER_KEYS = {
  provider: Object.keys(providerSchema.shape),
  credential: Object.keys(credential.shape),
  phantom: Object.keys(phantom.shape),
  environment: ['in', 'name', 'at', 'reason'],
  operations: Object.keys(operation.shape),
  target: Object.keys(target.shape),
  check: Object.keys(check.shape),
} as const

export type ProviderDocument = z.output<typeof providerSchema>
export type OperationDocument = ProviderDocument['operations'][number]
export type PlaceDocument = z.output<typeof place>
export type PlacesDocument = ProviderDocument['environment']
