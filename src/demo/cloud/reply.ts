import { randomBytes } from 'node:crypto'
import { GraphQLError } from 'graphql'

export interface Reply {
  readonly status: number
  readonly body: unknown
}

/** The errors as Railway words them: always a code, always an id to ask support about. */
export function failed(status: number, errors: readonly GraphQLError[], code: string): Reply {
  return { status, body: { errors: errors.map((error) => shown(error, code)) } }
}

/** HTTP 200 all the same: what went wrong stands in the body. */
export function refused(message: string): Reply {
  return {
    status: 200,
    body: { errors: [{ message, extensions: extensions(), traceId: traceId() }], data: null },
  }
}

export function shown(error: GraphQLError, code = 'INTERNAL_SERVER_ERROR') {
  const { locations, path, originalError } = error
  // A fault of this server, not an answer of it: nothing of it is told.
  const ours = !originalError || originalError instanceof GraphQLError
  const message = ours ? error.message : 'Problem processing request'
  return { message, locations, path, extensions: extensions(code), traceId: traceId() }
}

function extensions(code = 'INTERNAL_SERVER_ERROR') {
  return { code }
}

const traceId = () => BigInt(`0x${randomBytes(8).toString('hex')}`).toString()
