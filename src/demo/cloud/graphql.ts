import {
  executeSync,
  GraphQLError,
  getOperationAST,
  OperationTypeNode,
  parse,
  validate,
} from 'graphql'
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

/** What one document was answered with, and whether it asks to be told more. */
export interface Answer {
  readonly reply: Reply
  readonly subscribes: boolean
}

/** Answers one body of `POST /graphql/v2`: no subscriptions, which need something that stays open. */
export function answer(body: string, access: Access): Reply {
  const { reply, subscribes } = run(body, access)
  if (!subscribes) return reply
  return failed(400, [new GraphQLError('Subscriptions need a websocket')], 'BAD_REQUEST')
}

/**
 * Runs one document. Requests that cannot be understood get 400, everything
 * else 200. Nothing is done in between the fields of one document: no other request sees half of it.
 */
export function run(body: string, access: Access): Answer {
  const asked = read(body)
  if (!asked) return once(failed(400, [new GraphQLError('Invalid request')], 'BAD_REQUEST'))
  const schema = cloudSchema()
  try {
    const document = parse(asked.query, { maxTokens: 10_000 })
    const errors = validate(schema, document)
    if (errors.length > 0) return once(failed(400, errors, 'GRAPHQL_VALIDATION_FAILED'))
    const { data, errors: failures = [] } = executeSync({
      schema,
      document,
      contextValue: access,
      variableValues: asked.variables,
      operationName: asked.operationName,
      fieldResolver: (source, args, context: Access, info) => answers(source, args, context, info),
    })
    // Nothing was run at all: the variables do not fit, or no operation was meant.
    if (data === undefined) return once(failed(400, failures, 'BAD_USER_INPUT'))
    const subscribes =
      getOperationAST(document, asked.operationName)?.operation === OperationTypeNode.SUBSCRIPTION
    const shownErrors = failures.map((error) => shown(error))
    const told = failures.length === 0 ? { data } : { errors: shownErrors, data }
    return { reply: { status: 200, body: told }, subscribes }
  } catch (error) {
    if (error instanceof GraphQLError) return once(failed(400, [error], 'GRAPHQL_PARSE_FAILED'))
    throw error
  }
}

const once = (reply: Reply): Answer => ({ reply, subscribes: false })

function read(body: string): Asked | null {
  try {
    const { query, variables = null, operationName = null } = JSON.parse(body)
    return typeof query === 'string' ? { query, variables, operationName } : null
  } catch {
    return null
  }
}
