/** Ways to a key, around the proxy, or to more rights later, by what they go through. */
import type { Way } from './way.ts'
import { BROKER } from './ways-broker.ts'
import { FILES } from './ways-files.ts'
import { KERNEL } from './ways-kernel.ts'
import { LATER } from './ways-later.ts'
import { NETWORK } from './ways-network.ts'
import { PROCESSES } from './ways-processes.ts'

export const GROUPS: Readonly<Record<string, readonly Way[]>> = {
  'Files with keys': FILES,
  "The broker's own": BROKER,
  'Other programs': PROCESSES,
  'The walls themselves': KERNEL,
  'What runs later with your rights': LATER,
  'The network': NETWORK,
}

export const WAYS: readonly Way[] = Object.values(GROUPS).flat()
