import type { Resource } from '../../../core/guard.ts'
import { isObject, type Json } from '../../../lib/json.ts'

/** Longer names are cut: they are for people to read. */
const LONGEST = 200

/**
 * A variable that a request sets or deletes, by its name and never with its value. Named for people and
 * the audit alone: it is looked up nowhere and says nothing about the environment.
 */
export function variable(name: Json | undefined): readonly Resource[] {
  if (typeof name !== 'string' || name === '') return []
  return [{ kind: 'variable', id: name.slice(0, LONGEST).toWellFormed() }]
}

/** All variables in an object that has their names as its keys. */
export function variablesIn(value: Json | undefined): readonly Resource[] {
  return isObject(value) ? Object.keys(value).flatMap(variable) : []
}
