import { NEWER, withNewer } from './newer.ts'
import shapes from './shapes.json' with { type: 'json' }

/** An argument or an input field. */
export interface InputShape {
  /** The input object it takes; null for scalars, enums and opaque JSON. */
  readonly input: string | null
  /** Neither nullable nor with a default. */
  readonly required: boolean
}

/** A field of an object. */
export interface FieldShape {
  readonly args: ReadonlyMap<string, InputShape>
  /** The object, interface or union it returns, lists and non-null taken off; null for a leaf. */
  readonly type: string | null
}

export type OperationKind = 'query' | 'mutation' | 'subscription'

const FIELD = /^(\w+)(?:\(([^)]*)\))?(?::(\w+))?$/
const INPUT = /^(\w+)(?::(\w+))?(!)?$/

const NO_ARGUMENTS: ReadonlyMap<string, InputShape> = new Map()
const objectLines = withNewer(shapes.objects, NEWER.objects)
const inputLines = withNewer(shapes.inputs, NEWER.inputs)
const objects = new Map<string, ReadonlyMap<string, FieldShape>>()
const inputs = new Map<string, ReadonlyMap<string, InputShape>>()
const possible = new Map(
  [...withNewer(shapes.possible, NEWER.possible)].map(
    ([name, line]) => [name, new Set(line.split(' '))] as const,
  ),
)

/** The root type of a kind of operation. */
export function rootType(kind: OperationKind): string {
  return shapes.roots[kind]
}

/** The fields of an object type; undefined where there is no such type. Read on first use. */
export function fieldsOf(type: string): ReadonlyMap<string, FieldShape> | undefined {
  return remembered(objects, objectLines, type, readField)
}

/** The fields of an input type; undefined where there is no such type. Read on first use. */
export function inputsOf(type: string): ReadonlyMap<string, InputShape> | undefined {
  return remembered(inputs, inputLines, type, readInput)
}

/** The types an interface or union may turn out as; undefined for a plain object. */
export function possibleTypes(type: string): ReadonlySet<string> | undefined {
  return possible.get(type)
}

export function objectNames(): Iterable<string> {
  return objectLines.keys()
}

function remembered<T>(
  known: Map<string, ReadonlyMap<string, T>>,
  lines: ReadonlyMap<string, string>,
  type: string,
  read: (word: string) => readonly [string, T],
): ReadonlyMap<string, T> | undefined {
  const found = known.get(type)
  if (found) return found
  const line = lines.get(type)
  if (line === undefined) return undefined
  const fields = new Map(line.split(' ').filter(Boolean).map(read))
  known.set(type, fields)
  return fields
}

function readField(word: string): readonly [string, FieldShape] {
  const [, name = '', args, type] = FIELD.exec(word) ?? []
  const shape = {
    args: args === undefined ? NO_ARGUMENTS : new Map(args.split(',').map(readInput)),
    type: type ?? null,
  }
  return [name, shape]
}

function readInput(word: string): readonly [string, InputShape] {
  const [, name = '', input, mark] = INPUT.exec(word) ?? []
  return [name, { input: input ?? null, required: mark === '!' }]
}
