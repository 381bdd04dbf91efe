import type { Classified, Forward, RequestFacts, Verdict } from '../../../core/guard.ts'
import { decided, malformed, tooLarge } from '../../../core/refused.ts'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import type { MessageError } from '../../guard.ts'
import { judgeGraphql } from './graphql-request.ts'
import { headerOf } from './headers.ts'
import { parseJson } from './json.ts'
import { LIMITS } from './limits.ts'

/** The subprotocol whose messages are understood (graphql-ws, PROTOCOL.md); others are refused. */
const PROTOCOL = 'graphql-transport-ws'

export function isUpgrade(request: RequestFacts): boolean {
  return headerOf(request, 'upgrade') !== null
}

/** The upgrade itself runs nothing; each message is then shown to `classifyMessage`. */
export function judgeUpgrade(request: RequestFacts): Classified {
  if (request.query !== null) throw malformed('parameters in the query are not accepted')
  const websocket = headerOf(request, 'upgrade')?.toLowerCase() === 'websocket'
  if (request.method !== 'GET' || !websocket) throw malformed('only a websocket can be opened here')
  if (headerOf(request, 'sec-websocket-protocol') !== PROTOCOL) {
    throw malformed(`a websocket has to speak "${PROTOCOL}" and nothing else`)
  }
  return channel([])
}

function channel(operations: Classified['operations']): Classified {
  return {
    outcome: 'classified',
    operations,
    needs: [],
    forward: { kind: 'channel', protocol: PROTOCOL },
  }
}

/**
 * Classifies one text message that a client sends over the websocket: queries and mutations travel
 * there just as subscriptions do. Messages that run nothing have no operations. Binary messages are
 * not part of the protocol and never to be forwarded.
 */
export function classifyMessage(text: string): Verdict {
  return decided(() => {
    if (text.length > LIMITS.bodyBytes) throw tooLarge('the message is too large')
    const message = parseJson(text)
    if (!isObject(message)) throw malformed('the message is not an object')
    return judgeMessage(message)
  })
}

function judgeMessage({ type, id = null, payload = null, ...rest }: JsonObject): Classified {
  if (Object.keys(rest).length > 0) throw malformed('the message has members that are not known')
  switch (type) {
    // Payloads of these are free, so a credential could stand in them: they are left out.
    case 'connection_init':
    case 'ping':
    case 'pong':
      return { outcome: 'classified', operations: [], needs: [], forward: written({ type }) }
    case 'complete':
      return {
        outcome: 'classified',
        operations: [],
        needs: [],
        forward: written({ id: readMessageId(id), type }),
      }
    case 'subscribe': {
      const { operations, needs, parameters } = judgeGraphql(payload, true)
      const forward = written({ id: readMessageId(id), type, payload: parameters })
      return { outcome: 'classified', operations, needs, forward }
    }
    default:
      throw malformed('the message has a type that is not known')
  }
}

function readMessageId(id: Json): string {
  if (typeof id === 'string' && id.length > 0 && id.length <= 200) return id
  throw malformed('the message has no id')
}

function written(message: JsonObject): Forward {
  return { kind: 'body', contentType: 'application/json', text: JSON.stringify(message) }
}

/**
 * The protocol's `error` message, which ends the operation that the refused message would have begun.
 * Null for any other message, and for one that cannot be read.
 */
export function messageError(text: string, error: MessageError): string | null {
  try {
    const message = parseJson(text)
    if (!isObject(message) || message['type'] !== 'subscribe') return null
    const id = readMessageId(message['id'] ?? null)
    const { message: says, extensions } = error
    return JSON.stringify({ id, type: 'error', payload: [{ message: says, extensions }] })
  } catch {
    return null
  }
}
