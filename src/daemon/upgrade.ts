import type { Socket } from 'node:net'
import type { Log } from '../broker/context.ts'
import { problemOf } from './problem.ts'

/** The answer after which a connection speaks `protocol`. */
export function switchTo(socket: Socket, protocol: string): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${protocol}\r\n\r\n`,
  )
}

/** Answers as the routes do, and hangs up. Returns the status. */
export function refuseUpgrade(socket: Socket, error: unknown, log: Log): number {
  const problem = problemOf(error, log)
  const body = JSON.stringify(problem)
  const wait = problem.status === 429 || problem.status === 503 ? 'retry-after: 5\r\n' : ''
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\ncontent-type: application/problem+json\r\n${wait}` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
  return problem.status
}
