import type { ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'
import type { ChildEnd } from '../child.ts'
import { type InsideOrder, ORDER_FD, OVER } from './inside-terms.ts'

function orderSocket(child: ChildProcess): Duplex {
  const pipes: readonly unknown[] = child.stdio
  return pipes[ORDER_FD] as Duplex
}

/** What to run inside. Once. */
export function tell(child: ChildProcess, order: InsideOrder): void {
  orderSocket(child).write(`${JSON.stringify(order)}\n`)
}

export interface Answers {
  /** `STARTED`, or why nothing runs; empty if it ended without a word. */
  readonly first: Promise<string>
  /** Never, if it ends without a word. */
  readonly over: Promise<ChildEnd>
  /** There is nobody left to answer. */
  readonly closed: Promise<void>
}

/** The lines that come back. Listened for from the start: it may end before it is told anything. */
export function answersOf(child: ChildProcess): Answers {
  const socket = orderSocket(child)
  const first = Promise.withResolvers<string>()
  const over = Promise.withResolvers<ChildEnd>()
  let text = ''
  socket.on('data', (part: Buffer) => {
    text += part.toString('latin1')
    const [answer = '', end, ...rest] = text.split('\n')
    if (end !== undefined) first.resolve(answer)
    const status = rest.length === 0 ? undefined : OVER.exec(end ?? '')?.[1]
    if (status !== undefined) over.resolve({ exitCode: Number(status), signal: null })
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  // As good as its end: it ended before it read, or was ended.
  const close = () => first.resolve(text.trimEnd())
  socket.on('error', close).once('close', close)
  return { first: first.promise, over: over.promise, closed }
}

/** That of all of it, with the status that was told; what was told last may be read after the end. */
export async function endOf(gone: Promise<ChildEnd>, { over, closed }: Answers): Promise<ChildEnd> {
  const end = await gone
  await closed
  return Promise.race([over, end])
}
