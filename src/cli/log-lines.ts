import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const TAIL_BYTES = 256 * 1024
const INTERVAL_MS = 250

interface Tail {
  readonly lines: readonly string[]
  /** Where the last whole line ends. */
  readonly offset: number
}

/** The last whole lines of a file, at most `count`. None when there is no file. */
export function lastLines(file: string, count: number): Tail {
  const size = sizeOf(file)
  const from = Math.max(0, size - TAIL_BYTES)
  const { lines, offset } = readLines(file, from)
  // The first piece of a long file is the rest of a line that began before it.
  const whole = from > 0 ? lines.slice(1) : lines
  return { lines: whole.slice(-count), offset }
}

/** What is appended from `offset` on, until interrupted. Begins again when the file is replaced. */
export async function* followLines(
  file: string,
  offset: number,
): AsyncGenerator<readonly string[]> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  let at = offset
  while (!stop.signal.aborted) {
    if (sizeOf(file) < at) at = 0
    const read = readLines(file, at)
    if (read.lines.length > 0) yield read.lines
    at = read.offset
    await sleep(INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => {})
  }
}

function sizeOf(file: string): number {
  const fd = open(file)
  if (fd === null) return 0
  try {
    return fstatSync(fd).size
  } finally {
    closeSync(fd)
  }
}

function readLines(file: string, from: number): Tail {
  const fd = open(file)
  if (fd === null) return { lines: [], offset: 0 }
  try {
    const buffer = Buffer.alloc(Math.max(0, fstatSync(fd).size - from))
    const length = readSync(fd, buffer, 0, buffer.length, from)
    const end = buffer.subarray(0, length).lastIndexOf(0x0a) + 1
    if (end === 0) return { lines: [], offset: from }
    const text = buffer.subarray(0, end - 1).toString('utf8')
    return { lines: text.split('\n'), offset: from + end }
  } finally {
    closeSync(fd)
  }
}

function open(file: string): number | null {
  try {
    return openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
