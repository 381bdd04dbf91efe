import { readFileSync } from 'node:fs'
import { codeOf } from './futile.ts'
import { keyIn } from './keys.ts'
import { askPlainly } from './network.ts'
import type { Terms, Tried } from './terms.ts'
import { FOR_KEYS, WITH_KEY } from './ways.ts'

/** Where this program lies once it is bundled. */
export const program = import.meta.url

/**
 * The agent, no longer well-meaning: it looks for the key wherever it could lie, and then for a way to
 * the cloud that is not the broker's.
 */
export async function act(termsFile: string): Promise<void> {
  const terms = read(termsFile)
  let key: string | undefined
  for (const { way, attempt } of FOR_KEYS) {
    const code = await codeOf(async () => {
      key = (await attempt(terms)) ?? key
    })
    tell({ kind: 'tried', way, code })
  }
  const taken = key ?? keyIn(readFileSync(terms.treeFile, 'utf8'), terms.wanted)
  if (key === undefined) tell({ kind: 'fallback' })
  for (const { way, attempt } of WITH_KEY) {
    tell({ kind: 'tried', way, code: await codeOf(() => attempt(terms, taken)) })
  }
}

/** The other half of the way "unset": in a process that has never heard of a proxy. */
export async function actUnset(termsFile: string): Promise<void> {
  const key = readFileSync(0, 'utf8')
  process.stdout.write((await codeOf(() => askPlainly(read(termsFile), key))) ?? '')
}

function read(termsFile: string): Terms {
  return JSON.parse(readFileSync(termsFile, 'utf8'))
}

function tell(tried: Tried): void {
  process.stdout.write(`${JSON.stringify(tried)}\n`)
}
