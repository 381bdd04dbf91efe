import { BrokerError } from '../../src/errors.ts'
import type { LeaseId } from '../../src/lib/ids.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { MintRequest, Provider, Revocation } from '../../src/providers/provider.ts'

/** What really exists upstream, kept apart from everything the broker believes. */
export interface Ledger {
  readonly alive: Map<string, { readonly lease: string; readonly notAfter: number }>
  minted: number
  revoked: number
  /** Next calls do this instead of working. */
  readonly script: { mint: Step[]; revoke: Step[] }
  /** Every call does this while set. */
  down: Step | null
}

/** `lost`: it acted, but the answer never came. `late`: it will act only after having said no. */
export type Step = 'unavailable' | 'failed' | 'lost'

export function createLedger(): Ledger {
  return { alive: new Map(), minted: 0, revoked: 0, script: { mint: [], revoke: [] }, down: null }
}

/** A provider whose upstream is a ledger in the test: named, so it can be cleaned up by name. */
export function ledgerProvider(ledger: Ledger, overrides: Partial<Provider> = {}): Provider {
  const fail = (step: Step | null | undefined) => {
    if (step === 'unavailable')
      throw new BrokerError('provider_unavailable', 'the ledger is down', { hint: 'wait' })
    if (step === 'failed')
      throw new BrokerError('provider_failed', 'the ledger refused', { hint: 'ask' })
  }
  return {
    name: 'ledger',
    mode: 'native',
    capability: 'named',
    catalogue: {
      operations: new Map([
        ['look', 'read'],
        ['put', 'write'],
        ['burn', 'destructive'],
      ]),
      open: false,
    },
    secretPrompt: null,
    consistencyMs: 0,
    parseTarget: (target: JsonObject) => target,
    plan: (request: MintRequest, installId: string) => ({
      name: `broker_${installId}_${request.lease}_${request.grant}`,
    }),
    async mint(request, recipe) {
      const step = ledger.script.mint.shift() ?? ledger.down
      fail(step)
      const name = String(recipe['name'])
      ledger.alive.set(name, { lease: request.lease, notAfter: request.notAfter })
      ledger.minted++
      if (step === 'lost')
        throw new BrokerError('provider_unavailable', 'no answer', { hint: 'wait' })
      return {
        variables: new Secret({ LEDGER_KEY: `key-of-${name}` }),
        handle: { name },
        expiresAt: request.notAfter,
        notes: [],
      }
    },
    async revoke(recipe): Promise<Revocation> {
      const step = ledger.script.revoke.shift() ?? ledger.down
      fail(step)
      const there = ledger.alive.delete(String(recipe['name']))
      if (there) ledger.revoked++
      if (step === 'lost')
        throw new BrokerError('provider_unavailable', 'no answer', { hint: 'wait' })
      return there ? { outcome: 'revoked', notes: [] } : { outcome: 'absent' }
    },
    async list(_connection, world) {
      return [...ledger.alive]
        .filter(([name]) => name.startsWith(`broker_${world.installId}_`))
        .map(([name, { lease }]) => ({ recipe: { name }, lease: lease as LeaseId }))
    },
    variables: () => ['LEDGER_KEY'],
    ...overrides,
  }
}
