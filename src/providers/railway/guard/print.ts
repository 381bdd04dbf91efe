import {
  type ArgumentNode,
  type DirectiveNode,
  type FragmentDefinitionNode,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
  type TypeNode,
  type ValueNode,
  type VariableDefinitionNode,
} from 'graphql'
import type { ChosenDocument } from './document.ts'

/**
 * Writes a document anew from what was judged: one line, no comments, no descriptions, strings in one
 * spelling. Parsing the result gives the same tree again, and printing that the same text. The
 * library's own printer does the same, for people, and takes four times as long.
 */
export function printDocument({ operation, fragments }: ChosenDocument): string {
  const name = operation.name ? ` ${operation.name.value}` : ''
  const variables = list('(', operation.variableDefinitions, variable, ')')
  const head = `${operation.operation}${name}${variables}`
  const rest = [...fragments.values()].map((fragment) => ` ${fragmentText(fragment)}`)
  return `${head}${selections(operation.selectionSet)}${rest.join('')}`
}

function fragmentText(fragment: FragmentDefinitionNode): string {
  const head = `fragment ${fragment.name.value} on ${fragment.typeCondition.name.value}`
  return `${head}${selections(fragment.selectionSet)}`
}

function selections(set: SelectionSetNode | undefined): string {
  return set === undefined ? '' : `{${set.selections.map(selection).join(' ')}}`
}

function selection(node: SelectionNode): string {
  const directives = (node.directives ?? []).map(directive).join('')
  if (node.kind === Kind.FRAGMENT_SPREAD) return `...${node.name.value}${directives}`
  if (node.kind === Kind.INLINE_FRAGMENT) {
    const condition = node.typeCondition ? ` on ${node.typeCondition.name.value}` : ''
    return `...${condition}${directives}${selections(node.selectionSet)}`
  }
  const alias = node.alias ? `${node.alias.value}:` : ''
  const args = list('(', node.arguments, argument, ')')
  return `${alias}${node.name.value}${args}${directives}${selections(node.selectionSet)}`
}

function variable(node: VariableDefinitionNode): string {
  const fallback = node.defaultValue ? `=${value(node.defaultValue)}` : ''
  return `$${node.variable.name.value}:${type(node.type)}${fallback}`
}

function type(node: TypeNode): string {
  if (node.kind === Kind.NON_NULL_TYPE) return `${type(node.type)}!`
  return node.kind === Kind.LIST_TYPE ? `[${type(node.type)}]` : node.name.value
}

function directive(node: DirectiveNode): string {
  return ` @${node.name.value}${list('(', node.arguments, argument, ')')}`
}

function argument(node: ArgumentNode): string {
  return `${node.name.value}:${value(node.value)}`
}

function value(node: ValueNode): string {
  switch (node.kind) {
    case Kind.VARIABLE:
      return `$${node.name.value}`
    case Kind.STRING:
      // JSON's escapes are a part of GraphQL's; block strings arrive already dedented.
      return JSON.stringify(node.value)
    case Kind.LIST:
      return `[${node.values.map(value).join(',')}]`
    case Kind.OBJECT:
      return `{${node.fields.map((field) => `${field.name.value}:${value(field.value)}`).join(',')}}`
    case Kind.NULL:
      return 'null'
    case Kind.BOOLEAN:
      return String(node.value)
    default:
      return node.value
  }
}

function list<T>(
  open: string,
  nodes: readonly T[] | undefined,
  text: (node: T) => string,
  close: string,
): string {
  return nodes === undefined || nodes.length === 0
    ? ''
    : `${open}${nodes.map(text).join(',')}${close}`
}
