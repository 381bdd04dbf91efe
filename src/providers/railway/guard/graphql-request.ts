import type { Need, Operation } from '../../../core/guard.ts'
import { malformed, quote } from '../../../core/refused.ts'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import { judgeOperations } from './operations.ts'
import { prepare } from './prepared.ts'
import { readVariables } from './values.ts'

/** The parameters of a GraphQL request (GraphQL over HTTP, §5). */
interface Parameters {
  readonly query: string
  readonly operationName: string | null
  readonly variables: Json
}

/** A request that was judged, written anew from what was judged. */
export interface JudgedRequest {
  readonly operations: readonly Operation[]
  readonly needs: readonly Need[]
  readonly parameters: JsonObject
}

const PARAMETERS: ReadonlySet<string> = new Set([
  'query',
  'operationName',
  'variables',
  'extensions',
])

/** Extensions that describe the client and change nothing. They are dropped, not forwarded. */
const HARMLESS_EXTENSIONS: ReadonlySet<string> = new Set(['clientLibrary'])

/**
 * Judges one GraphQL request. Batches, persisted queries (the document is not in the request) and
 * parameters that are not known are refused.
 */
export function judgeGraphql(value: Json, subscriptions: boolean): JudgedRequest {
  const { query, operationName, variables: provided } = readParameters(value)
  const { document, text, below } = prepare(query, operationName)
  const { operation } = document
  if (operation.operation === 'subscription' && !subscriptions) {
    throw malformed('a subscription needs a websocket')
  }
  const variables = readVariables(operation, provided)
  const judged = judgeOperations(document, variables, below)
  const parameters = {
    query: text,
    ...(operation.name ? { operationName: operation.name.value } : {}),
    ...(Object.keys(variables.given).length > 0 ? { variables: variables.given } : {}),
  }
  return { ...judged, parameters }
}

function readParameters(value: Json): Parameters {
  if (Array.isArray(value)) throw malformed('several requests in one body are not accepted')
  if (!isObject(value)) throw malformed('the request body is not an object')
  for (const key of Object.keys(value)) {
    if (!PARAMETERS.has(key)) throw malformed(`parameter ${quote(key)} is not accepted`)
  }
  const { query, operationName = null, variables = null, extensions = null } = value
  refuseExtensions(extensions)
  if (typeof query !== 'string') throw malformed('the request has no document')
  if (operationName !== null && typeof operationName !== 'string') {
    throw malformed('the operation name is not a string')
  }
  // Some clients send an empty name for "none".
  return { query, operationName: operationName === '' ? null : operationName, variables }
}

function refuseExtensions(extensions: Json): void {
  if (extensions === null) return
  if (!isObject(extensions)) throw malformed('the extensions are not an object')
  for (const key of Object.keys(extensions)) {
    if (!HARMLESS_EXTENSIONS.has(key)) throw malformed(`extension ${quote(key)} is not accepted`)
  }
}
