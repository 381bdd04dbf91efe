import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import { failure } from './failure.ts'

/** A project with hundreds of environments fits in a fraction of this. */
const MOST_BYTES = 4 * 1024 * 1024

/** Reads a body to its end, or gives up when it is larger than any answer could be. */
export async function readText(
  body: AsyncIterable<Uint8Array>,
  connection: string,
): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    size += part.byteLength
    if (size > MOST_BYTES) throw failure('unreadable', connection)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** The `data` of a GraphQL answer (specification, October 2021, §7.1). Throws for any `errors`. */
export function readAnswer(text: string, connection: string): JsonObject {
  const answer = parse(text)
  if (!answer) throw failure('unreadable', connection)
  const { errors, data } = answer
  if (errors !== undefined && errors !== null) throw failure(reasonFor(errors), connection, errors)
  if (!isObject(data)) throw failure('unreadable', connection)
  return data
}

function parse(text: string): JsonObject | null {
  try {
    const value = JSON.parse(text) as Json
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

/** Several errors that say different things are no clear word on any one of them. */
function reasonFor(errors: Json): 'refused' | 'absent' | 'rejected' {
  const found = new Set((Array.isArray(errors) ? errors : []).map(reasonForOne))
  const [only, ...others] = found
  return only !== undefined && others.length === 0 ? only : 'rejected'
}

function reasonForOne(error: Json): 'refused' | 'absent' | 'rejected' {
  const message = isObject(error) ? error['message'] : null
  if (typeof message !== 'string') return 'rejected'
  if (/not authorized|unauthori[sz]ed|forbidden/i.test(message)) return 'refused'
  return /not found|does not exist/i.test(message) ? 'absent' : 'rejected'
}

/** A text at a key; null where there is none. */
export function textAt(object: Json | undefined, key: string): string | null {
  const value = isObject(object) && Object.hasOwn(object, key) ? object[key] : null
  return typeof value === 'string' ? value : null
}

/** An object at a key; an empty one where there is none. */
export function objectAt(object: Json | undefined, key: string): JsonObject {
  const value = isObject(object) && Object.hasOwn(object, key) ? object[key] : null
  return isObject(value) ? value : {}
}
