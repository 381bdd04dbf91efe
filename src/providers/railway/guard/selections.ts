import { type DirectiveNode, type FieldNode, Kind, type SelectionSetNode } from 'graphql'
import { malformed, quote, Refused, tooLarge, unknown } from '../../../core/refused.ts'
import { isNameField } from '../catalogue/scopes.ts'
import { DECRYPT_ARGUMENT, isSecretField } from '../catalogue/secrets.ts'
import { type FieldShape, fieldsOf, possibleTypes } from '../catalogue/shapes.ts'
import { type Arguments, readArguments } from './arguments.ts'
import type { ChosenDocument } from './document.ts'
import { LIMITS } from './limits.ts'
import { follow, type Reach } from './reach.ts'
import { resolveValue, type Variables } from './values.ts'

/** One request while it is judged. */
export interface Judging {
  readonly fragments: ChosenDocument['fragments']
  readonly variables: Variables
  /** Selections seen so far, in one object because fragments are judged wherever they are spread. */
  readonly seen: { count: number }
}

/** A field together with what the catalogue knows of it. */
export interface KnownField {
  readonly node: FieldNode
  readonly shape: FieldShape
  readonly args: Arguments
  readonly depth: number
}

const TYPENAME: FieldShape = { args: new Map(), type: null }

/**
 * Calls `visit` for every field of a selection set, fragments opened where they stand. `@skip` and
 * `@include` are judged as if everything were included: what a variable decides is the server's.
 */
export function eachField(
  set: SelectionSetNode,
  type: string,
  judging: Judging,
  visit: (field: KnownField, type: string) => void,
  depth = 0,
): void {
  if (depth > LIMITS.depth) throw tooLarge('the GraphQL document is nested too deeply')
  const fields = fieldsOf(type)
  for (const selection of set.selections) {
    judging.seen.count += 1
    if (judging.seen.count > LIMITS.selections) throw tooLarge('the document unfolds too far')
    checkDirectives(selection.directives, judging.variables)
    if (selection.kind === Kind.FIELD) {
      const name = selection.name.value
      const shape = name === '__typename' ? TYPENAME : fields?.get(name)
      if (!shape) throw unknownField(type, selection)
      visit(knownField(selection, shape, judging.variables, depth), type)
      continue
    }
    const fragment =
      selection.kind === Kind.INLINE_FRAGMENT
        ? selection
        : judging.fragments.get(selection.name.value)
    if (!fragment) throw malformed('a fragment is not defined')
    if (fragment.kind === Kind.FRAGMENT_DEFINITION && (fragment.directives ?? []).length > 0) {
      throw malformed('the definition of a fragment has a directive')
    }
    const narrowed = narrow(type, fragment.typeCondition?.name.value)
    eachField(fragment.selectionSet, narrowed, judging, visit, depth + 1)
  }
}

/** Judges all below one field; hands every secret field ("Type.field") to `secret`. */
export function judgeBelow(
  field: KnownField,
  reach: Reach | null,
  judging: Judging,
  secret: (name: string) => void,
): void {
  const { node, depth } = field
  if (reach === null || !node.selectionSet) {
    if (reach !== null || node.selectionSet) {
      throw malformed(`${quote(node.name.value)} has the wrong form of selection`)
    }
    return
  }
  const visit = (inner: KnownField, type: string): void => {
    const name = inner.node.name.value
    if (reach.namesOnly && !isNameField(type, name)) {
      throw new Refused('environment_mismatch', leaving(type, name))
    }
    if (isSecretField(type, name) && inner.args.get(DECRYPT_ARGUMENT) !== false) {
      secret(`${type}.${name}`)
    }
    const next = inner.shape.type
    judgeBelow(
      inner,
      next === null ? null : follow({ ...reach, type }, name, next),
      judging,
      secret,
    )
  }
  eachField(node.selectionSet, reach.type, judging, visit, depth + 1)
}

function leaving(type: string, name: string): string {
  return `${quote(`${type}.${name}`)} is reached over an edge that leaves the environment, where only names may be read`
}

function knownField(
  node: FieldNode,
  shape: FieldShape,
  variables: Variables,
  depth: number,
): KnownField {
  const args = readArguments(node.name.value, node.arguments, shape.args, variables)
  return { node, shape, args, depth }
}

function unknownField(type: string, { name }: FieldNode): Refused {
  return unknown(`field ${quote(`${type}.${name.value}`)}`, name.value)
}

/** The type in force inside a fragment; a fragment on a type that cannot occur there is refused. */
function narrow(type: string, condition: string | undefined): string {
  if (condition === undefined || condition === type) return type
  if (possibleTypes(type)?.has(condition)) return condition
  // An interface of what stands there anyway: the narrower type knows all of its fields.
  if (possibleTypes(condition)?.has(type)) return type
  throw malformed(`a fragment on ${quote(condition)} cannot stand inside ${quote(type)}`)
}

function checkDirectives(nodes: readonly DirectiveNode[] | undefined, variables: Variables): void {
  for (const { name, arguments: args } of nodes ?? []) {
    const [condition, ...more] = args ?? []
    const known = name.value === 'skip' || name.value === 'include'
    if (!known) throw unknown(`directive ${quote(`@${name.value}`)}`)
    if (!condition || more.length > 0 || condition.name.value !== 'if') {
      throw malformed(`directive ${quote(`@${name.value}`)} needs "if" and nothing else`)
    }
    if (typeof resolveValue(condition.value, variables) !== 'boolean') {
      throw malformed(`the condition of ${quote(`@${name.value}`)} is not a boolean`)
    }
  }
}
