import { executeSync, GraphQLError, parse, validate } from 'graphql'
import type { JsonObject } from '../../lib/json.ts'
import type { Access } from './access.ts'
import { answers } from './answers/all.ts'
import { failed, type Reply, shown } from './reply.ts'
import { cloudSchema } from './schema/schema.ts'

interface Asked {
  readonly query: string
  readonly variables: JsonObject | null
  readonly operationName: string | null
}

/**
 * Answers one body of `POST /graphql/v2`. Requests that cannot be understood get 400, everything
 * else 200. Nothing is done in between the fields of one document: no other request sees half of it.
 */
export function answer(body: string, access: Access): Reply {
  const asked = read(body)
  if (!asked) return failed(400, [new GraphQLError('Invalid request')], 'BAD_REQUEST')
  const schema = cloudSchema()
  try {
    const document = parse(asked.query, { maxTokens: 10_000 })
    const errors = validate(schema, document)
    if (errors.length > 0) return failed(400, errors, 'GRAPHQL_VALIDATION_FAILED')
    const { data, errors: failures = [] } = executeSync({
      schema,
      document,
      contextValue: access,
      variableValues: asked.variables,
      operationName: asked.operationName,
      fieldResolver: (source, args, context: Access, info) => answers(source, args, context, info),
    })
    // Nothing was run at all: the variables do not fit, or no operation was meant.
    if (data === undefined) return failed(400, failures, 'BAD_USER_INPUT')
    if (failures.length === 0) return { status: 200, body: { data } }
    return { status: 200, body: { errors: failures.map((error) => shown(error)), data } }
  } catch (error) {
    if (error instanceof GraphQLError) return failed(400, [error], 'GRAPHQL_PARSE_FAILED')
    throw error
  }
}

function read(body: string): Asked | null {
  try {
    const { query, variables = null, operationName = null } = JSON.parse(body)
    return typeof query === 'string' ? { query, variables, operationName } : null
  } catch {
    return null
  }
}
