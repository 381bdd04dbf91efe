import { readFileSync } from 'node:fs'

/** Of its first thread, which is the one that starts others in what is tested here; none of one that is gone. */
export function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

export function descendantsOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])
}

/** Its words, each with a NUL behind it; empty of one that is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

/** Our program inside the walls. */
export const isInside = (pid: number) => commandOf(pid).startsWith('/run/broker/node')
