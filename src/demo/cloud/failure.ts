import { type Reply, refused } from './reply.ts'

/**
 * How the cloud fails on purpose. `down`: connections are reset. `hang`: requests are read and never
 * answered. `lost`: the work is done and the connection reset instead of an answer.
 */
export type FailureMode = 'off' | 'down' | 'hang' | 'lost' | '500' | 'not-authorized'

/** What is answered instead, in the modes that answer at all. */
export function failureReply(mode: FailureMode): Reply | null {
  if (mode === '500') return { status: 500, body: { message: 'Internal Server Error' } }
  return mode === 'not-authorized' ? refused('Not Authorized') : null
}
