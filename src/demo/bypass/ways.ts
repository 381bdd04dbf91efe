import { readFileSync } from 'node:fs'
import { connectTo, keyIn, keyOfParents } from './keys.ts'
import { askUnset, deleteAtAddress, deleteThroughProxy } from './network.ts'
import type { Terms, Way } from './terms.ts'

interface ForKeys {
  readonly way: Way
  /** Returns the cloud's key where it lies there. Throws where this does not get there. */
  attempt(terms: Terms): Promise<string | undefined>
}

interface WithKey {
  readonly way: Way
  attempt(terms: Terms, key: string): Promise<void>
}

export const FOR_KEYS: readonly ForKeys[] = [
  {
    way: 'home-file',
    attempt: async ({ homeFile, wanted }) => keyIn(readFileSync(homeFile, 'utf8'), wanted),
  },
  {
    way: 'env-file',
    attempt: async ({ envFile, wanted }) => keyIn(readFileSync(envFile, 'utf8'), wanted),
  },
  { way: 'shell', attempt: async ({ wanted }) => keyOfParents(wanted) },
  {
    way: 'operator-key',
    attempt: async ({ operatorKey }) => {
      readFileSync(operatorKey)
      return undefined
    },
  },
  {
    way: 'socket',
    attempt: async ({ socket }) => {
      await connectTo(socket)
      return undefined
    },
  },
]

/** The deletion stands behind what only asks: once it is done there is nothing left to prove. */
export const WITH_KEY: readonly WithKey[] = [
  { way: 'unset', attempt: askUnset },
  { way: 'address', attempt: deleteAtAddress },
  { way: 'proxy', attempt: deleteThroughProxy },
]
