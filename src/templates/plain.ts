import { isAlias, isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml'
import type { Json } from '../lib/json.ts'
import type { Finding, Locate, Path, Position } from './finding.ts'
import { codePoint, quoted, UNPRINTABLE } from './words.ts'

/** Deeper than any document of ours; targets of providers included. */
const MAX_DEPTH = 20

type At = (offset: number) => Position

/**
 * The plain data of a YAML tree. What it refuses goes into `findings`, and the value is then not to
 * be used. Objects have no prototype, so that no key of the file can be mistaken for a method.
 */
export function plain(root: Node, at: At, findings: Finding[]): Json {
  return walk(root, [], { at, findings })
}

interface Walk {
  readonly at: At
  readonly findings: Finding[]
}

function walk(node: unknown, path: Path, context: Walk): Json {
  if (node === null || node === undefined) return null
  const known = node as Node
  const refuse = (message: string) => refuseAt(known, message, path, context)
  if (path.length > MAX_DEPTH) return refuse('the file is nested too deeply')
  if (isAlias(node)) return refuse('aliases are not accepted: write it out')
  if (known.tag !== undefined) return refuse('tags are not accepted')
  if (isSeq(node)) return node.items.map((item, index) => walk(item, [...path, index], context))
  if (isMap(node)) return walkMap(node, path, context)
  if (isScalar(node)) return scalar(node, refuse)
  return refuse('only text, numbers, true, false, lists and maps are accepted')
}

function walkMap(node: YAMLMap, path: Path, context: Walk): Json {
  const object: Record<string, Json> = Object.create(null)
  for (const { key, value } of node.items) {
    const name = keyOf(key, path, context)
    if (name === undefined) continue
    if (Object.hasOwn(object, name)) {
      refuseAt(key as Node, `${quoted(name)} stands here twice`, [...path, name], context)
    }
    object[name] = walk(value, [...path, name], context)
  }
  return object
}

/** Text only: a key that YAML reads as a number, a truth value or nothing is a slip. */
function keyOf(key: unknown, path: Path, context: Walk): string | undefined {
  const refuse = (message: string) => {
    refuseAt(key as Node, message, path, context)
    return undefined
  }
  if (isAlias(key)) return refuse('aliases are not accepted: write it out')
  if (!isScalar(key)) return refuse('a key has to be text')
  if (key.tag !== undefined) return refuse('tags are not accepted')
  if (typeof key.value !== 'string') {
    const source = key.source ?? ''
    if (source === '') return refuse('a key is missing before the ":"')
    return refuse(`${quoted(source)} is read as ${kindOf(key.value)}: put the key in quotes`)
  }
  if (key.value === '<<') return refuse('merge keys are not accepted: write it out')
  // The one key that changes an object instead of adding to it.
  if (key.value === '__proto__') return refuse('"__proto__" cannot be a key')
  const trouble = untextual(key.value)
  return trouble === undefined ? key.value : refuse(trouble)
}

function scalar(node: Scalar, refuse: (message: string) => Json): Json {
  const { value, source } = node
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') {
    const trouble = untextual(value)
    return trouble === undefined ? value : refuse(trouble)
  }
  // `1e3`, `010`, `0x1f`, `1.0` and numbers too long to be exact: what is read is not what is written.
  if (typeof value === 'number' && String(value) === source) return value
  return refuse(
    `${quoted(source ?? '')} is read as the number ${String(value)}: if it is text, put it in quotes`,
  )
}

/** What an escape in double quotes can smuggle in although the file itself is clean. */
function untextual(text: string): string | undefined {
  if (!text.isWellFormed()) return 'the text is not valid Unicode'
  const found = UNPRINTABLE.exec(text)
  return found ? `the text holds the unprintable character ${codePoint(found[0])}` : undefined
}

function refuseAt(node: Node | null, message: string, path: Path, context: Walk): null {
  const position = context.at(node?.range?.[0] ?? 0)
  context.findings.push({ severity: 'error', message, path, at: 'value', position })
  return null
}

function kindOf(value: unknown): string {
  if (typeof value === 'number') return 'a number'
  return value === null ? 'nothing' : 'true or false'
}

/** Positions by path, for a tree that `plain` accepted. */
export function locator(root: Node, at: At): Locate {
  const indexes = new Map<YAMLMap, KeyIndex>()
  return (path, end) => {
    let node: unknown = root
    let key: unknown
    for (const step of path) {
      const next = descend(node, step, indexes)
      if (!next) return at(offsetOf(key) ?? 0)
      key = next.key
      node = next.value
    }
    const wanted = end === 'key' ? (key ?? node) : (node ?? key)
    return at(offsetOf(wanted) ?? offsetOf(key) ?? 0)
  }
}

type KeyIndex = ReadonlyMap<string, { readonly key: unknown; readonly value: unknown }>

function descend(node: unknown, step: string | number, indexes: Map<YAMLMap, KeyIndex>) {
  if (isSeq(node)) {
    const item = node.items[Number(step)]
    return item === undefined ? undefined : { key: item, value: item }
  }
  if (!isMap(node)) return undefined
  // Built once for each map: a file may have as many mistakes as keys.
  const index = indexes.get(node) ?? indexOf(node)
  indexes.set(node, index)
  return index.get(String(step))
}

function indexOf(map: YAMLMap): KeyIndex {
  return new Map(map.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : '', pair]))
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}
