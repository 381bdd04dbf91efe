import { type DocumentNode, Kind, parse, type SelectionSetNode } from 'graphql'
import type { Cloud } from './cloud/cloud.ts'

/** What the broker itself does with the stored token: a narrower one for the task, and its end. */
const OWN: ReadonlySet<string> = new Set(['projectTokenCreate', 'projectTokenDelete'])

/**
 * The mutations that reached the cloud, by name and in order, from the cloud's own record; without
 * the broker's own. A request that cannot be read counts as the worst: as something unknown.
 */
export function mutationsAt({ record }: Cloud): readonly string[] {
  return record.flatMap(({ body }) => mutationsIn(body)).filter((name) => !OWN.has(name))
}

function mutationsIn(body: string): readonly string[] {
  try {
    const asked: { query: string } = JSON.parse(body)
    return rootFieldsOf(parse(asked.query))
  } catch {
    return ['(unreadable)']
  }
}

function rootFieldsOf(document: DocumentNode): readonly string[] {
  return document.definitions.flatMap((definition) => {
    if (definition.kind === Kind.OPERATION_DEFINITION) {
      return definition.operation === 'mutation' ? fieldsOf(definition.selectionSet) : []
    }
    return definition.kind === Kind.FRAGMENT_DEFINITION &&
      definition.typeCondition.name.value === 'Mutation'
      ? fieldsOf(definition.selectionSet)
      : []
  })
}

function fieldsOf({ selections }: SelectionSetNode): readonly string[] {
  return selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection.name.value]
    return selection.kind === Kind.INLINE_FRAGMENT ? fieldsOf(selection.selectionSet) : []
  })
}

/** True when the text stands in anything that reached the cloud. */
export function reached({ record }: Cloud, text: string): boolean {
  return record.some(
    ({ path, headers, body }) =>
      path.includes(text) ||
      body.includes(text) ||
      headers.some(([, value]) => value.includes(text)),
  )
}
