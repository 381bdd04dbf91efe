import type { FieldNode, SelectionSetNode } from 'graphql'
import { BrokerError } from '../../../errors.ts'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import { type ChosenDocument, chooseOperation } from './document.ts'
import { parseJson } from './json.ts'
import { readVariables, resolveValue, type Variables } from './values.ts'

/** What is known of an object without asking; functions are for what has to be looked up. */
export type Known = { readonly [field: string]: string | Known | (() => Promise<string | null>) }

interface Answering extends Pick<ChosenDocument, 'fragments'> {
  readonly variables: Variables
}

const ROOT = 'projectToken'

/**
 * Answers a document that asks what token this is, as if the lease's own had been asked: what really
 * goes upstream may be another, wider one. `text` is the request as it was judged and written anew,
 * so it is valid; aliases, fragments and conditions are honoured. Throws `denied` for whatever is not
 * known here, and where other root fields stand beside it.
 */
export async function answerToken(text: string, token: Known): Promise<string> {
  const parameters = parseJson(text)
  const query = isObject(parameters) ? parameters['query'] : null
  if (!isObject(parameters) || typeof query !== 'string') throw notHere('over a websocket')
  const { operation, fragments } = chooseOperation(query, null)
  const variables = readVariables(operation, parameters['variables'] ?? null)
  const answering = { fragments, variables }
  const fields = [...fieldsOf(operation.selectionSet, answering)]
  const stranger = fields.find(({ name }) => name.value !== ROOT && name.value !== '__typename')
  if (stranger) throw notHere(`beside "${stranger.name.value}"`)
  const data = await select(operation.selectionSet, answering, 'Query', { [ROOT]: token })
  return JSON.stringify({ data })
}

async function select(
  set: SelectionSetNode,
  answering: Answering,
  type: string,
  known: Known,
): Promise<JsonObject> {
  const result = new Map<string, Json>()
  for (const field of fieldsOf(set, answering)) {
    const key = (field.alias ?? field.name).value
    const value = await fieldValue(field, answering, type, known)
    result.set(key, merged(result.get(key), value))
  }
  return Object.fromEntries(result)
}

async function fieldValue(
  { name: { value: name }, arguments: args, selectionSet }: FieldNode,
  answering: Answering,
  type: string,
  known: Known,
): Promise<Json> {
  if (name === '__typename') return type
  const value = Object.hasOwn(known, name) ? known[name] : undefined
  if (value === undefined || (args ?? []).length > 0) throw notHere(`with "${type}.${name}"`)
  if (typeof value === 'string') return value
  if (typeof value === 'function') return await value()
  const inner = name.charAt(0).toUpperCase() + name.slice(1)
  // Judged before: a field of an object has a selection.
  return selectionSet ? select(selectionSet, answering, inner, value) : null
}

/** One key may be selected several times; objects then have the fields of all of them. */
function merged(before: Json | undefined, after: Json): Json {
  if (!isObject(before) || !isObject(after)) return after
  const result = new Map<string, Json>(Object.entries(before))
  for (const [key, value] of Object.entries(after)) result.set(key, merged(result.get(key), value))
  return Object.fromEntries(result)
}

/** The fields of a selection, fragments unfolded, without those that a condition leaves out. */
function* fieldsOf(set: SelectionSetNode, answering: Answering): Generator<FieldNode> {
  for (const node of set.selections) {
    if (isLeftOut(node.directives, answering.variables)) continue
    if (node.kind === 'Field') yield node
    else if (node.kind === 'InlineFragment') yield* fieldsOf(node.selectionSet, answering)
    else {
      const fragment = answering.fragments.get(node.name.value)
      if (fragment) yield* fieldsOf(fragment.selectionSet, answering)
    }
  }
}

function isLeftOut(directives: FieldNode['directives'], variables: Variables): boolean {
  return (directives ?? []).some(({ name, arguments: args }) => {
    const condition = args?.[0] && resolveValue(args[0].value, variables)
    return name.value === 'skip' ? condition === true : condition !== true
  })
}

function notHere(where: string): BrokerError {
  return new BrokerError('denied', `the lease's token cannot be described ${where}`, {
    hint: 'ask for projectToken{id name project{id name} environment{id name}} alone, and for more by project(id) or environment(id)',
  })
}
