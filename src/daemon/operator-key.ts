import { linkSync, readFileSync, unlinkSync } from 'node:fs'
import { writeFileAtomic } from '../lib/atomic-write.ts'
import { newBearer, type Random } from '../lib/ids.ts'
import { Secret } from '../lib/secret.ts'

const SHAPE = /^bko_[A-Za-z0-9_-]{43}$/

/**
 * The operator key: who can read this file is the operator. Made on the first start and never
 * replaced by itself, because the audit chain is sealed with keys derived from it.
 */
export function loadOperatorKey(path: string, random: Random): Secret {
  const found = read(path)
  if (found !== undefined) {
    if (SHAPE.test(found)) return new Secret(found)
    throw new Error(`"${path}" is not an operator key: restore it, or move it away to begin anew`)
  }
  const key = newBearer('bko_', random)
  const draft = `${path}.${process.pid}`
  writeFileAtomic(draft, `${key}\n`)
  try {
    linkSync(draft, path) // fails if it exists: nothing is ever overwritten
  } finally {
    unlinkSync(draft)
  }
  return new Secret(key)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
