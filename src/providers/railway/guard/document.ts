import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
} from 'graphql'
import { malformed, quote, tooLarge } from '../../../core/refused.ts'
import { LIMITS } from './limits.ts'

/** The one operation that runs, and the fragments it uses, in the order of first use. */
export interface ChosenDocument {
  readonly operation: OperationDefinitionNode
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>
}

/**
 * Parses a document and keeps what the server would run: the operation that `operationName` chooses
 * (GraphQL specification, October 2021, §6.1) and its fragments. The rest is dropped, so it need not
 * be judged, and cannot run either, because it is not forwarded.
 */
export function chooseOperation(source: string, operationName: string | null): ChosenDocument {
  const document = parseSource(source)
  const operations: OperationDefinitionNode[] = []
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) {
      operations.push(definition)
    } else if (definition.kind === Kind.FRAGMENT_DEFINITION) {
      const name = definition.name.value
      if (fragments.has(name)) throw malformed(`fragment ${quote(name)} is defined twice`)
      fragments.set(name, definition)
    } else {
      throw malformed('the document defines types, which a request cannot')
    }
  }
  const operation = choose(operations, operationName)
  return { operation, fragments: usedFragments(operation.selectionSet, fragments) }
}

function parseSource(source: string): DocumentNode {
  if (source.length > LIMITS.documentChars) throw tooLarge('the GraphQL document is too large')
  try {
    return parse(source, { noLocation: true, maxTokens: LIMITS.tokens })
  } catch (error) {
    // A document of brackets can use up the stack before it uses up the tokens.
    if (error instanceof RangeError) throw tooLarge('the GraphQL document is nested too deeply')
    if (error instanceof Error && error.message.includes('tokens')) {
      throw tooLarge('the GraphQL document is too large')
    }
    throw malformed('the GraphQL document cannot be parsed')
  }
}

function choose(
  operations: readonly OperationDefinitionNode[],
  operationName: string | null,
): OperationDefinitionNode {
  const names = operations.map(({ name }) => name?.value ?? null)
  if (new Set(names).size !== names.length || (names.length > 1 && names.includes(null))) {
    throw malformed('the document has several operations of one name or without a name')
  }
  const fitting = operationName === null ? operations : operations.filter(named(operationName))
  const [operation] = fitting
  if (operation === undefined) throw malformed('the document has no operation of that name')
  if (fitting.length > 1) throw malformed('the document has several operations and none is chosen')
  return operation
}

function named(name: string): (operation: OperationDefinitionNode) => boolean {
  return (operation) => operation.name?.value === name
}

/** Refuses fragments that are missing or spread themselves: unfolding those would never end. */
function usedFragments(
  root: SelectionSetNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
): ReadonlyMap<string, FragmentDefinitionNode> {
  const used = new Map<string, FragmentDefinitionNode>()
  const open = new Set<string>()
  const visit = (set: SelectionSetNode, depth: number): void => {
    if (depth > LIMITS.depth) throw tooLarge('the GraphQL document is nested too deeply')
    for (const selection of set.selections) {
      if (selection.kind !== Kind.FRAGMENT_SPREAD) {
        if (selection.selectionSet) visit(selection.selectionSet, depth + 1)
        continue
      }
      const name = selection.name.value
      if (open.has(name)) throw malformed(`fragment ${quote(name)} spreads itself`)
      if (used.has(name)) continue
      const fragment = fragments.get(name)
      if (!fragment) throw malformed(`fragment ${quote(name)} is not defined`)
      used.set(name, fragment)
      open.add(name)
      visit(fragment.selectionSet, depth + 1)
      open.delete(name)
    }
  }
  visit(root, 0)
  return used
}
