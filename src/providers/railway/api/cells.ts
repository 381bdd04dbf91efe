import { BrokerError } from '../../../errors.ts'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import { objectAt, textAt } from './answer.ts'
import { isDefinite, type Reason, reasonOf } from './failure.ts'

/** Root fields in one document. */
const AT_ONCE = 16
/** Documents for one question: what takes more is not looked through. */
const MOST_CALLS = 60

/** Sends one document. */
export type Ask = (query: string) => Promise<JsonObject>

/** One root field and the list that is wanted below it. */
export interface Cell {
  /** What it is asked about: an id of the caller's own choice. */
  readonly of: string
  /** The root field with everything below it; `after` is the cursor of the page before. */
  readonly field: (after: string | null) => string
  /** From the root field's value to the list, connection or object. */
  readonly path: readonly string[]
}

type Missing = Extract<Reason, 'refused' | 'absent'>

export interface Found {
  readonly of: string
  readonly nodes: readonly JsonObject[]
  /** The API did not show this one; what it holds is unknown. Null: it did. */
  readonly missing: Missing | null
}

/**
 * Asks for many lists in few documents and follows their pages to the end. One that is refused does
 * not take the others with it. Throws what `ask` throws for everything but a clear no.
 */
export async function readCells(ask: Ask, cells: readonly Cell[]): Promise<readonly Found[]> {
  const found = cells.map(({ of }) => ({ of, nodes: [] as JsonObject[], missing: null }))
  let open: Part[] = cells.map((cell, index) => ({ cell, index, after: null }))
  let calls = 0
  const send = async (parts: readonly Part[]): Promise<readonly Part[]> => {
    if (++calls > MOST_CALLS) throw tooMuch()
    const { data, missing } = await askParts(ask, parts)
    if (data) return parts.flatMap((part, at) => take(part, data[`c${at}`], found))
    if (parts.length === 1) {
      for (const { index } of parts) Object.assign(found[index] ?? {}, { missing })
      return []
    }
    const rest: Part[] = []
    // One after the other: a burst would run into the limit per second.
    for (const part of parts) rest.push(...(await send([part])))
    return rest
  }
  while (open.length > 0) {
    const rest = open.slice(AT_ONCE)
    open = [...rest, ...(await send(open.slice(0, AT_ONCE)))]
  }
  return found
}

interface Part {
  readonly cell: Cell
  readonly index: number
  readonly after: string | null
}

type Answered =
  | { readonly data: JsonObject; readonly missing?: never }
  | { readonly data?: never; readonly missing: Missing }

/** Of several at once it is not known which of them is missing. */
async function askParts(ask: Ask, parts: readonly Part[]): Promise<Answered> {
  const fields = parts.map(({ cell, after }, at) => `c${at}:${cell.field(after)}`)
  try {
    return { data: await ask(`query{${fields.join(' ')}}`) }
  } catch (error) {
    const reason = reasonOf(error)
    // One bad field spoils a document of many, whatever was wrong with it.
    if (parts.length > 1 && isDefinite(error)) return { missing: 'refused' }
    if (reason === 'refused' || reason === 'absent') return { missing: reason }
    throw error
  }
}

/**
 * Keeps what came and returns what is still to be asked. Null at the root means that there is none; a
 * list that is not there at all, or does not say whether it goes on, must not pass for an empty one.
 */
function take(
  part: Part,
  value: Json | undefined,
  found: readonly { nodes: JsonObject[] }[],
): readonly Part[] {
  if (value === null) return []
  let at: Json | undefined = value
  for (const key of part.cell.path) at = isObject(at) ? at[key] : undefined
  const nodes = found[part.index]?.nodes ?? []
  if (Array.isArray(at)) {
    nodes.push(...at.filter(isObject))
    return []
  }
  if (!isObject(at)) throw incomplete()
  if (!Array.isArray(at['edges'])) {
    nodes.push(at)
    return []
  }
  nodes.push(...nodesOf(at))
  const page = objectAt(at, 'pageInfo')
  if (page['hasNextPage'] === false) return []
  const after = textAt(page, 'endCursor')
  if (page['hasNextPage'] !== true || after === null || after === part.after) throw incomplete()
  return [{ ...part, after }]
}

/** What a page of a connection holds. */
export function nodesOf({ edges }: JsonObject): readonly JsonObject[] {
  if (!Array.isArray(edges)) return []
  return edges.map((edge: Json) => objectAt(edge, 'node'))
}

function incomplete(): BrokerError {
  return new BrokerError('provider_failed', 'railway answered with a list that is not whole', {
    hint: 'try again; the API may have changed, see broker daemon logs',
    details: { reason: 'unreadable' },
  })
}

function tooMuch(): BrokerError {
  return new BrokerError('provider_failed', 'there is too much at railway to look through', {
    hint: 'use a token that reaches fewer projects, or tidy up old environments',
    details: { reason: 'unreadable' },
  })
}

/** Names a field with arguments. Texts are quoted as GraphQL and JSON both do; nulls are left out. */
export function field(name: string, args: Readonly<Record<string, string | null>>): string {
  const given = Object.entries(args).filter(([, value]) => value !== null)
  const list = given.map(([key, value]) => `${key}:${JSON.stringify(value)}`)
  return list.length === 0 ? name : `${name}(${list.join(',')})`
}

/** A page of a connection: what is wanted of each node, and what is needed to go on. */
export function paged(selection: string): string {
  return `{pageInfo{hasNextPage endCursor} edges{node{${selection}}}}`
}
