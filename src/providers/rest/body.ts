import type { Forward, RequestFacts } from '../../core/guard.ts'
import { malformed, quote, readingJson, tooLarge } from '../../core/refused.ts'
import type { RestBody } from '../../core/rest/definition.ts'
import { canonicalJson, isObject, type Json } from '../../lib/json.ts'
import { readStrictJson } from '../../lib/strict-json.ts'
import { headerOf } from './headers.ts'
import { isMethodOverride, type Parameters, readParameters } from './parameters.ts'

/** How much of a body is read to judge it. Larger ones are for operations whose body is a stream. */
export const INSPECTED = { bytes: 1024 * 1024, depth: 48 } as const

/** What a body says, as far as it is read, and what may be sent in its place. */
export interface Body {
  /** Undefined: there is none, or it is not JSON. */
  readonly json: Json | undefined
  readonly form: Parameters
  readonly forward: Forward
}

const STREAM: Body = { json: undefined, form: [], forward: { kind: 'stream' } }
const JSON_TYPE = /^application\/(?:[a-z0-9.!#$&^_-]+\+)?json$/
const FORM_TYPE = 'application/x-www-form-urlencoded'

/** How many bytes of a body of that kind have to be read before it can be judged; null: none are. */
export function inspectedBytes(kind: RestBody): number | null {
  if (kind === 'none') return 0
  return kind === 'json' || kind === 'form' ? INSPECTED.bytes : null
}

export function readBody(kind: RestBody, request: RequestFacts): Body {
  const type = mediaType(request)
  if (inspectedBytes(kind) === null) {
    if (request.method === 'POST') checkUnread(kind, type.name)
    return STREAM
  }
  if (request.body === null) throw malformed('the request body was not read')
  if (request.body.byteLength === 0) return STREAM
  if (kind === 'none') throw malformed('this operation takes no body')
  const encoding = headerOf(request, 'content-encoding') ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    throw malformed('the body has to come without a content encoding')
  }
  return kind === 'json' ? readJsonBody(request.body, type) : readForm(request.body, type)
}

/** Rails, Laravel and others look for a method among the fields of a body, and of a POST alone. */
function checkUnread(kind: RestBody, type: string): void {
  const hasFields = type === FORM_TYPE || type.startsWith('multipart/') || JSON_TYPE.test(type)
  if (kind === 'stream' ? hasFields : !type.startsWith('multipart/')) {
    throw malformed('this content type is not accepted: its fields could ask for another method')
  }
}

interface MediaType {
  /** Lower-case; empty where there is no header. */
  readonly name: string
  readonly text: string
  readonly charset: string | null
}

/** RFC 9110 §8.3.1. */
const MEDIA_TYPE =
  /^([a-z0-9!#$%&'*+.^_`|~-]+\/[a-z0-9!#$%&'*+.^_`|~-]+)((?:\s*;\s*[a-z0-9!#$%&'*+.^_`|~-]+=(?:[a-z0-9!#$%&'*+.^_`|~-]+|"[^"\\]*"))*)$/i

function mediaType(request: RequestFacts): MediaType {
  const text = headerOf(request, 'content-type')
  if (text === null) return { name: '', text: '', charset: null }
  const [, name, rest = ''] = MEDIA_TYPE.exec(text) ?? []
  if (name === undefined) throw malformed('the content type is not well formed')
  const charset = /;\s*charset="?([^";\s]+)/i.exec(rest)?.[1] ?? null
  return { name: name.toLowerCase(), text, charset }
}

function requireType({ charset }: MediaType, fits: boolean, wanted: string): void {
  if (!fits) throw malformed(`the content type has to be ${wanted}`)
  if (charset !== null && charset.toLowerCase() !== 'utf-8') {
    throw malformed('the body has to be UTF-8')
  }
}

function readJsonBody(bytes: Uint8Array, type: MediaType): Body {
  requireType(type, JSON_TYPE.test(type.name), 'application/json')
  const json = readingJson(() => readStrictJson(bytes, INSPECTED))
  const keys = isObject(json) ? Object.keys(json) : []
  const override = keys.find(isMethodOverride)
  if (override !== undefined) throw malformed(`member ${quote(override)} is not accepted`)
  return {
    json,
    form: [],
    forward: { kind: 'body', contentType: type.text, text: written(json) },
  }
}

function written(json: Json): string {
  try {
    return canonicalJson(json)
  } catch {
    throw malformed('the request body holds half a character')
  }
}

function readForm(bytes: Uint8Array, type: MediaType): Body {
  requireType(type, type.name === FORM_TYPE, FORM_TYPE)
  if (bytes.byteLength > INSPECTED.bytes) throw tooLarge('the request body is too large')
  const form = readParameters(Buffer.from(bytes).toString('latin1'))
  const again = form
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&')
  return { json: undefined, form, forward: { kind: 'body', contentType: FORM_TYPE, text: again } }
}
