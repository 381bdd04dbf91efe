import { buildSchema, type GraphQLSchema } from 'graphql'
import { DOMAINS } from './domains.ts'
import { INPUTS } from './inputs.ts'
import { OBJECTS } from './objects.ts'
import { PLATFORM } from './platform.ts'
import { ROOTS } from './roots.ts'
import { SUBSCRIPTIONS } from './subscriptions.ts'

let built: GraphQLSchema | undefined

/** The part of Railway's schema that this cloud answers: nothing in it that is not in Railway's. */
export function cloudSchema(): GraphQLSchema {
  built ??= buildSchema(ROOTS + OBJECTS + DOMAINS + PLATFORM + SUBSCRIPTIONS + INPUTS)
  return built
}
