import type { GraphQLFieldResolver } from 'graphql'
import type { Access } from '../access.ts'

/** Answers one field of Query or Mutation, or what one of Subscription has to tell at this moment. */
export type RootAnswer = (args: never, access: Access) => unknown
export type RootAnswers = Readonly<Record<string, RootAnswer>>

/** Answers a field of a type that its row does not hold under the same name. */
export type FieldAnswer = (row: never, access: Access, args: never) => unknown
export type FieldAnswers = Readonly<Record<string, Readonly<Record<string, FieldAnswer>>>>

const ROOTS: readonly string[] = ['Query', 'Mutation', 'Subscription']

/**
 * How the schema is answered: root fields by name, other fields by type and name, the rest from the
 * row itself. GraphQL has checked the arguments before, which is why their types may be claimed.
 */
export function answering(
  roots: RootAnswers,
  fields: FieldAnswers,
): GraphQLFieldResolver<unknown, Access> {
  return (row, args, access, { parentType, fieldName }) => {
    if (ROOTS.includes(parentType.name)) {
      access.anyone()
      return roots[fieldName]?.(args as never, access)
    }
    const answer = fields[parentType.name]?.[fieldName]
    if (answer) return answer(row as never, access, args as never)
    return (row as Readonly<Record<string, unknown>>)[fieldName]
  }
}
