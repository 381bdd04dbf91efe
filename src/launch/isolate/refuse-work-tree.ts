import { BrokerError } from '../../errors.ts'
import { coversCredentials, holdsCredentials } from './home.ts'
import { isWithin } from './paths.ts'
import { belongsToSystem } from './system.ts'

/**
 * The work tree is let in, writable and whole. So it may be neither the home nor the system, nor a
 * place of keys. Paths without links. Throws `isolation_unavailable`.
 */
export function refuseWorkTree(root: string, home: string, broker: readonly string[]): void {
  const why = whyNot(root, home, broker)
  if (why === undefined) return
  throw new BrokerError('isolation_unavailable', `"${root}" cannot be a work tree: ${why}`, {
    hint: 'go to the folder of the project, or take --isolation scrub, which is no boundary',
    details: { workTree: root },
  })
}

function whyNot(root: string, home: string, broker: readonly string[]): string | undefined {
  if (home === '/') return 'this person has no home of their own'
  if (isWithin(home, root)) return 'it holds the whole home'
  if (belongsToSystem(root)) return 'it belongs to the system'
  if (broker.some((folder) => isWithin(root, folder))) return "it is the broker's own"
  if (holdsCredentials(home, root)) return 'it is a place of keys'
  return coversCredentials(home, root) ? 'a place of keys is in it' : undefined
}
