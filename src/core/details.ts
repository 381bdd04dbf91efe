import { BrokerError } from '../errors.ts'
import { isObject, type Json } from '../lib/json.ts'
import { JsonRefused, parseStrictJson } from '../lib/strict-json.ts'

/** One entry of `authorization_details` (RFC 9396 §2): less of a grant than its template allows. */
export interface GrantDetail {
  readonly type: 'broker_grant'
  /** The grant's name in the template. */
  readonly identifier: string
  /** Operations or patterns of them; at least one. */
  readonly actions: readonly string[]
}

const MAX_TEXT = 65_536
const MAX_DETAILS = 64
const MAX_ACTIONS = 1000
/** Each is held against every operation that there is, while everybody waits. */
const MAX_GLOBS = 50
const MEMBERS: ReadonlySet<string> = new Set(['type', 'identifier', 'actions'])

/**
 * Reads `authorization_details` as they came. Throws `details_refused` for what is not a list of ours,
 * also for a member that is not known: whoever wrote it meant a limit that nobody would enforce (§5).
 */
export function readDetails(text: string): readonly GrantDetail[] {
  const list = parse(text)
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_DETAILS) {
    throw refusedDetails(`they are a list of one to ${MAX_DETAILS} objects`)
  }
  const details = (list as readonly Json[]).map(readOne)
  const names = details.map(({ identifier }) => identifier)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw refusedDetails(`grant "${shown(twice)}" stands there twice`)
  return details
}

function parse(text: string): Json {
  if (text.length > MAX_TEXT) throw refusedDetails('they are too long')
  try {
    return parseStrictJson(text, 4)
  } catch (error) {
    if (error instanceof JsonRefused) throw refusedDetails('they are not JSON')
    throw error
  }
}

function readOne(value: Json): GrantDetail {
  if (!isObject(value)) throw refusedDetails('each of them is an object')
  const stranger = Object.keys(value).find((key) => !MEMBERS.has(key))
  if (stranger !== undefined) throw refusedDetails(`member "${shown(stranger)}" is not known`)
  const { type, identifier, actions } = value
  if (type !== 'broker_grant') throw refusedDetails('the only type is "broker_grant"')
  if (typeof identifier !== 'string' || identifier === '') {
    throw refusedDetails('"identifier" is the name of a grant')
  }
  if (!isActions(actions)) {
    throw refusedDetails(
      `"actions" of "${shown(identifier)}" is a list of operations, with at most ${MAX_GLOBS} globs among them`,
    )
  }
  return { type, identifier, actions }
}

function isActions(value: Json | undefined): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_ACTIONS) return false
  if (!value.every((one) => typeof one === 'string' && one !== '')) return false
  return value.filter((one) => (one as string).includes('*')).length <= MAX_GLOBS
}

/** `what` is shown to the caller. */
export function refusedDetails(what: string): BrokerError {
  return new BrokerError('details_refused', `the authorization_details are not accepted: ${what}`, {
    hint: 'write [{"type":"broker_grant","identifier":"GRANT","actions":["OPERATION"]}], with no more than the template allows',
  })
}

/** Text of the caller in a message: cut, and without what a terminal would obey. */
export function shown(text: string): string {
  return text.slice(0, 80).replace(/[^\x20-\x7e]|"/g, '?')
}
