import type { ArgumentNode } from 'graphql'
import { malformed, quote, tooLarge, unknown } from '../../../core/refused.ts'
import { isObject, type Json } from '../../../lib/json.ts'
import { type InputShape, inputsOf } from '../catalogue/shapes.ts'
import { LIMITS } from './limits.ts'
import { resolveValue, type Variables } from './values.ts'

/** Argument values by name; absent ones are not in it, explicit nulls are. */
export type Arguments = ReadonlyMap<string, Json>

/** Most fields take none, and a map for each would be most of the work. */
const NONE: Arguments = new Map()

/**
 * Resolves and checks the arguments of one field. An argument or an input field that the catalogue does
 * not know could widen the operation in a way nobody has judged, so it makes the operation unknown.
 */
export function readArguments(
  field: string,
  nodes: readonly ArgumentNode[] | undefined,
  shapes: ReadonlyMap<string, InputShape>,
  variables: Variables,
): Arguments {
  if (shapes.size === 0 && (nodes ?? []).length === 0) return NONE
  const found = new Map<string, Json | undefined>()
  for (const { name, value } of nodes ?? []) {
    const shape = shapes.get(name.value)
    if (!shape) throw unknown(`argument ${quote(name.value)} of ${quote(field)}`, field)
    if (found.has(name.value)) throw malformed(`argument ${quote(name.value)} stands twice`)
    const resolved = resolveValue(value, variables, shape.input)
    found.set(name.value, resolved)
    checkInput(resolved, shape, `${field}.${name.value}`, 0)
  }
  for (const [name, shape] of shapes) {
    if (shape.required && (found.get(name) ?? null) === null) {
      throw malformed(`argument ${quote(name)} of ${quote(field)} is missing`)
    }
  }
  for (const [name, value] of found) if (value === undefined) found.delete(name)
  return found as Map<string, Json>
}

function checkInput(value: Json | undefined, shape: InputShape, path: string, depth: number): void {
  if (depth > LIMITS.valueDepth) throw tooLarge('a value is nested too deeply')
  if (shape.input === null || value === null || value === undefined) return
  if (Array.isArray(value)) {
    for (const item of value) checkInput(item, shape, path, depth + 1)
    return
  }
  const fields = inputsOf(shape.input)
  if (!isObject(value) || !fields) throw malformed(`${quote(path)} is not an input object`)
  for (const [name, item] of Object.entries(value)) {
    const inner = fields.get(name)
    if (!inner) throw unknown(`input field ${quote(`${path}.${name}`)}`, path.split('.')[0])
    checkInput(item, inner, `${path}.${name}`, depth + 1)
  }
  for (const [name, inner] of fields) {
    const given = Object.hasOwn(value, name) ? value[name] : null
    if (inner.required && (given ?? null) === null) {
      throw malformed(`input field ${quote(`${path}.${name}`)} is missing`)
    }
  }
}

/** The values at a path; lists on the way are followed into each item. Absent and null give none. */
export function valuesAt(args: Arguments, path: readonly string[]): readonly Json[] {
  const [first = '', ...rest] = path
  let reached: readonly (Json | undefined)[] = [args.get(first)]
  for (const name of rest) {
    reached = reached.flatMap(items).map((value) => memberOf(value, name))
  }
  return reached.flatMap(items).filter((value): value is Json => (value ?? null) !== null)
}

function items(value: Json | undefined): readonly (Json | undefined)[] {
  return Array.isArray(value) ? value : [value]
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}
