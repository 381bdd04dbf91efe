import { buildSchema, type GraphQLSchema } from 'graphql'
import { INPUTS } from './inputs.ts'
import { OBJECTS } from './objects.ts'
import { ROOTS } from './roots.ts'

let built: GraphQLSchema | undefined

/** The part of Railway's schema that this cloud answers: nothing in it that is not in Railway's. */
export function cloudSchema(): GraphQLSchema {
  built ??= buildSchema(ROOTS + OBJECTS + INPUTS)
  return built
}
