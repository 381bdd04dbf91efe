import { Kind, type ObjectValueNode, type OperationDefinitionNode, type ValueNode } from 'graphql'
import { malformed, quote, tooLarge } from '../../../core/refused.ts'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import { inputsOf } from '../catalogue/shapes.ts'
import { LIMITS } from './limits.ts'

/** The variables of one operation as the server will see them: given, or by default, or absent. */
export interface Variables {
  /** True for every name the operation defines. */
  readonly defined: ReadonlySet<string>
  /** Absent: neither given nor with a default. */
  readonly values: ReadonlyMap<string, Json>
  /** What is forwarded: the given values of defined variables and no others. */
  readonly given: JsonObject
  /** How often a variable was asked for: what was found meanwhile holds only for these values. */
  readonly lookedUp: { count: number }
}

/** Takes variables as the specification coerces them (October 2021, §6.1.2), types left aside. */
export function readVariables(operation: OperationDefinitionNode, provided: Json): Variables {
  const source = plainObject(provided, 'the variables are not an object')
  const defined = new Set<string>()
  const values = new Map<string, Json>()
  const given: [string, Json][] = []
  for (const definition of operation.variableDefinitions ?? []) {
    const name = definition.variable.name.value
    if (defined.has(name)) throw malformed(`variable ${quote(`$${name}`)} is defined twice`)
    defined.add(name)
    if ((definition.directives ?? []).length > 0) throw malformed('a variable has a directive')
    const value = Object.hasOwn(source, name) ? source[name] : undefined
    if (value !== undefined) given.push([name, value])
    const taken = value ?? defaultOf(definition.defaultValue, value)
    if (taken !== undefined) values.set(name, taken)
    const needed = definition.type.kind === Kind.NON_NULL_TYPE
    if (needed && (taken ?? null) === null) throw malformed(`variable ${quote(name)} is missing`)
  }
  return { defined, values, given: Object.fromEntries(given), lookedUp: { count: 0 } }
}

/** An explicit null is a value; only a variable that was not given at all has its default. */
function defaultOf(node: ValueNode | undefined, value: Json | undefined): Json | undefined {
  if (value === null) return null
  return node === undefined ? undefined : resolveValue(node, NO_VARIABLES)
}

const NO_VARIABLES: Variables = {
  defined: new Set(),
  values: new Map(),
  given: {},
  lookedUp: { count: 0 },
}

/**
 * The value a literal has once variables are put in. Undefined: an absent variable, so the argument or
 * field is as if it did not stand there (§6.4.1); inside a list it is null (§2.9.7). Within opaque JSON
 * (no `input` type) nobody says which of the two it is, and null deletes: that is refused.
 */
export function resolveValue(
  node: ValueNode,
  variables: Variables,
  input: string | null = null,
  depth = 0,
): Json | undefined {
  if (depth > LIMITS.valueDepth) throw tooLarge('a value is nested too deeply')
  switch (node.kind) {
    case Kind.VARIABLE: {
      const name = node.name.value
      variables.lookedUp.count += 1
      if (!variables.defined.has(name)) throw malformed(`variable ${quote(name)} is not defined`)
      return variables.values.get(name)
    }
    case Kind.LIST:
      return node.values.map((item) => resolveValue(item, variables, input, depth + 1) ?? null)
    case Kind.OBJECT:
      return resolveObject(node, variables, input, depth)
    case Kind.NULL:
      return null
    case Kind.INT:
    case Kind.FLOAT:
      return finite(Number(node.value))
    default:
      return node.value
  }
}

function resolveObject(
  { fields }: ObjectValueNode,
  variables: Variables,
  input: string | null,
  depth: number,
): Json {
  const shapes = input === null ? undefined : inputsOf(input)
  const found = new Map<string, Json | undefined>()
  for (const field of fields) {
    const name = field.name.value
    if (found.has(name)) throw malformed(`field ${quote(name)} stands twice in one object`)
    const inner = shapes?.get(name)?.input ?? null
    const value = resolveValue(field.value, variables, inner, depth + 1)
    if (value === undefined && !shapes) throw malformed('a variable inside a JSON value is missing')
    found.set(name, value)
  }
  return Object.fromEntries([...found].filter(isPresent))
}

/** What is too large for a number becomes null in JSON, and null takes things away. */
function finite(number: number): number {
  if (!Number.isFinite(number)) throw malformed('a number is too large')
  return number
}

function isPresent(entry: [string, Json | undefined]): entry is [string, Json] {
  return entry[1] !== undefined
}

/** An object, or nothing at all; anything else is refused with the message. */
export function plainObject(value: Json | undefined, message: string): JsonObject {
  if (value === null || value === undefined) return {}
  if (!isObject(value)) throw malformed(message)
  return value
}
