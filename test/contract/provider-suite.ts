import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { isBrokerError } from '../../src/errors.ts'
import { type LeaseId, newInstallId, newLeaseId } from '../../src/lib/ids.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import type { Proxied } from '../../src/providers/guard.ts'
import type {
  Connection,
  Minted,
  MintRequest,
  Provider,
  Signer,
  World,
} from '../../src/providers/provider.ts'

export type Variables = Readonly<Record<string, string>>

/** A provider, a real upstream, and ways to look at it that do not go through the provider. */
export interface Bench {
  readonly provider: Provider
  readonly connection: Connection | null
  /** As it stands in broker.yaml. */
  readonly target: JsonObject
  readonly operations: readonly string[]
  /** Does with the credential what was asked for; throws when it is refused. */
  use(variables: Variables, proxied?: Proxied): Promise<unknown>
  /** By name: acts that were not asked for. Each throws when it is refused. */
  readonly overreach: Readonly<
    Record<string, (variables: Variables, proxied?: Proxied) => Promise<unknown>>
  >
  /** Keeps something open with the credential, where the upstream has such a thing. */
  open?(variables: Variables): Promise<OpenSession>
  /** Everything at the upstream that carries this install id, open sessions included. */
  leftovers?(installId: string): Promise<readonly string[]>
  /** Makes the next mint stand still half-way. */
  hold?(): Promise<HeldMint>
  /** Connections that will not work, each with the canary where its secret is. */
  broken?(canary: string): readonly Connection[]
  /** What a phantom looks like, where the provider is a proxied one. */
  readonly phantom?: RegExp
  /** For providers that sign with our own key. */
  readonly signer?: () => Promise<Signer>
  dispose(): Promise<void>
}

export interface OpenSession {
  /** False once it can do nothing any more. */
  alive(): Promise<boolean>
  close(): Promise<void>
}

export interface HeldMint {
  /** Resolves when the mint stands still. */
  reached(): Promise<void>
  /** Cuts the provider's connection, as a network would. */
  cut(): Promise<void>
  release(): Promise<void>
}

interface Live {
  readonly request: MintRequest
  readonly recipe: JsonObject
  readonly minted: Minted
  readonly variables: Variables
}

/** The same demands on every provider. `setup` is called once. */
export function providerContract(name: string, setup: () => Promise<Bench>): void {
  describe(`the ${name} provider`, () => {
    let bench: Bench
    let installId: string
    // One of its own for each test: what one leaves behind does not fail the next.
    beforeEach(() => {
      installId = newInstallId(randomBytes)
    })
    beforeAll(async () => {
      bench = await setup()
    })
    afterAll(async () => {
      await bench?.provider.close?.()
      await bench?.dispose()
    })

    function world(signal: AbortSignal = AbortSignal.timeout(30_000), id = installId): World {
      return {
        now: Date.now,
        random: randomBytes,
        installId: id,
        issuer: 'https://broker.test',
        signer: bench.signer ?? (() => Promise.reject(new Error('this provider must not sign'))),
        signal,
      }
    }

    function request(lease: LeaseId = newLeaseId(Date.now(), randomBytes)): MintRequest {
      return {
        lease,
        grant: 'db',
        environment: 'staging',
        operations: bench.operations,
        target: bench.provider.parseTarget(bench.target),
        notAfter: Date.now() + 600_000,
        principal: 'alice',
      }
    }

    async function mint(wanted = request(), id = installId): Promise<Live> {
      const { provider, connection } = bench
      const recipe = provider.plan(wanted, id, connection)
      const minted = await provider.mint(wanted, recipe, connection, world(undefined, id))
      return { request: wanted, recipe, minted, variables: minted.variables.reveal() }
    }

    /** With what is stored alone: the recipe goes through JSON, as a crash would leave it. */
    function revoke(recipe: JsonObject, handle: Minted['handle'] = null, id = installId) {
      const stored = JSON.parse(JSON.stringify({ recipe, handle }))
      return bench.provider.revoke(
        stored.recipe,
        stored.handle,
        bench.connection,
        world(undefined, id),
      )
    }

    it('does not do what was not asked for', async () => {
      const live = await mint()
      for (const [act, attempt] of Object.entries(bench.overreach)) {
        await expect(attempt(live.variables, live.minted.proxied), act).rejects.toThrow(/./)
      }
      await revoke(live.recipe, live.minted.handle)
    })

    it('does what was asked for', async () => {
      const live = await mint()
      await bench.use(live.variables, live.minted.proxied)
      await revoke(live.recipe, live.minted.handle)
    })

    it('refuses targets with unknown keys and says where', () => {
      const wrong = { ...bench.target, surprise: 1 }
      const error = thrown(() => bench.provider.parseTarget(wrong))
      expect(error).toMatchObject({ code: 'config_invalid', details: { path: ['surprise'] } })
    })

    it('gives every mint a credential of its own', async () => {
      const [one, two] = [await mint(), await mint()]
      expect(JSON.stringify(one.variables)).not.toBe(JSON.stringify(two.variables))
      expect(one.recipe).not.toEqual(two.recipe)
      await revoke(one.recipe, one.minted.handle)
      if (bench.provider.capability !== 'phantom')
        await bench.use(two.variables, two.minted.proxied)
      await revoke(two.recipe, two.minted.handle)
    })

    it('sets exactly the variables it announces', async () => {
      const live = await mint()
      const announced = bench.provider.variables(live.request.target)
      expect(Object.keys(live.variables).sort()).toEqual([...announced].sort())
      await revoke(live.recipe, live.minted.handle)
    })

    it('never lets the provider end it later than the lease', async () => {
      const live = await mint()
      if (live.minted.expiresAt !== null) {
        expect(live.minted.expiresAt).toBeLessThanOrEqual(live.request.notAfter)
      }
      await revoke(live.recipe, live.minted.handle)
    })

    it('keeps secrets out of recipe, handle, notes and what is printed of a mint', async () => {
      const live = await mint()
      const shown = inspect([live.recipe, live.minted], { depth: 9 }) + JSON.stringify(live.minted)
      for (const secret of secretsOf(live)) expect(shown).not.toContain(secret)
      await revoke(live.recipe, live.minted.handle)
    })

    it('has a guard and gives phantoms exactly where its requests go through the proxy', async () => {
      const { guard, mode } = bench.provider
      const live = await mint()
      expect([guard !== undefined, live.minted.proxied !== undefined]).toEqual(
        mode === 'proxied' ? [true, true] : [false, false],
      )
      await revoke(live.recipe, live.minted.handle)
    })

    it('shows the task a phantom and no credential that works upstream', async () => {
      if (bench.provider.mode !== 'proxied') return
      const [one, two] = [await mint(), await mint()]
      const phantoms = [one, two].map((live) => live.minted.proxied?.phantom.reveal() ?? '')
      expect(new Set(phantoms).size).toBe(2)
      for (const [index, live] of [one, two].entries()) {
        const shown = Object.values(live.variables)
        expect(phantoms[index]).toMatch(bench.phantom ?? /./)
        expect(shown).toContain(phantoms[index])
        const real = [live.minted.proxied?.minted, bench.connection?.secret]
        for (const secret of real) {
          if (secret) expect(shown).not.toContain(secret.reveal())
        }
        await revoke(live.recipe, live.minted.handle)
      }
    })

    it('puts a credential only where its requests carry one, and to its own hosts', async () => {
      const { guard, parseTarget } = bench.provider
      const { connection } = bench
      if (!guard || !connection?.secret) return
      const carriers = guard.carriers.map(({ header }) => header)
      for (const name of [...carriers, ...guard.hosts]) expect(name).toMatch(/^[a-z0-9.-]+$/)
      for (const kind of ['minted', 'connection'] as const) {
        const fields = guard.inject({ secret: connection.secret, kind, connection })
        expect(fields.length).toBeGreaterThan(0)
        for (const [name] of fields) expect(carriers).toContain(name)
        expect(inspect(fields, { depth: 9 })).not.toContain(connection.secret.reveal())
      }
      expect(() => guard.upstream(connection, 'example.com')).toThrow(/host/)
      for (const host of guard.hosts) {
        expect(guard.upstream(connection, host).origin).toMatch(/^https:\/\/[^/?#@]+$/)
      }
      expect(guard.place(parseTarget(bench.target)).environment).toMatch(/./)
    })

    it('makes it useless by the time revoke returns', async () => {
      if (bench.provider.capability === 'phantom') return // our own record decides, not the upstream
      const live = await mint()
      const session = await bench.open?.(live.variables)
      expect((await session?.alive()) ?? true).toBe(true)
      expect(await revoke(live.recipe, live.minted.handle)).toMatchObject({ outcome: 'revoked' })
      expect((await session?.alive()) ?? false).toBe(false)
      await expect(bench.use(live.variables, live.minted.proxied)).rejects.toThrow(/./)
      await session?.close()
      expect((await bench.leftovers?.(installId)) ?? []).toEqual([])
    })

    it('can be revoked again, and by two at once', async () => {
      const live = await mint()
      const both = await Promise.all([1, 2].map(() => revoke(live.recipe, live.minted.handle)))
      const again = await revoke(live.recipe, live.minted.handle)
      for (const { outcome } of [...both, again]) expect(['revoked', 'absent']).toContain(outcome)
      expect((await bench.leftovers?.(installId)) ?? []).toEqual([])
    })

    it('is revoked by its recipe alone', async () => {
      const live = await mint()
      expect(await revoke(live.recipe, null)).toMatchObject({ outcome: 'revoked' })
      if (bench.provider.capability !== 'phantom') {
        await expect(bench.use(live.variables, live.minted.proxied)).rejects.toThrow(/./)
      }
      expect((await bench.leftovers?.(installId)) ?? []).toEqual([])
    })

    it('finds nothing to revoke where nothing was minted', async () => {
      const recipe = bench.provider.plan(request(), installId, bench.connection)
      expect(['revoked', 'absent']).toContain((await revoke(recipe)).outcome)
    })

    it.for(['aborted', 'cut off'])('leaves nothing of a mint that was %s half-way', async (how) => {
      const held = await bench.hold?.()
      if (!held) return
      const { provider, connection } = bench
      const wanted = request()
      const recipe = provider.plan(wanted, installId, connection)
      const abort = new AbortController()
      const minting = provider.mint(wanted, recipe, connection, world(abort.signal)).then(
        () => null,
        (error: unknown) => error,
      )
      await held.reached()
      if (how === 'aborted') abort.abort(new DOMException('timed out', 'TimeoutError'))
      else await held.cut()
      expect(await minting).toMatchObject({ code: 'provider_unavailable' })
      // Revoked while the upstream may still be busy with what nobody waits for any more.
      const revoking = revoke(recipe)
      await held.release()
      expect(['revoked', 'absent']).toContain((await revoking).outcome)
      expect(await bench.leftovers?.(installId)).toEqual([])
    })

    it('lists what is live of this installation and of no other', async () => {
      const { provider, connection } = bench
      if (!provider.list || !connection) return
      const other = newInstallId(randomBytes)
      const [one, two, theirs] = [await mint(), await mint(), await mint(undefined, other)]
      const listed = await provider.list(connection, world())
      expect(listed.map(({ lease }) => lease).sort()).toEqual(
        [one, two].map((it) => it.request.lease).sort(),
      )
      for (const { recipe } of listed) await revoke(recipe)
      expect(await provider.list(connection, world())).toEqual([])
      expect(await provider.list(connection, world(undefined, other))).toHaveLength(1)
      await bench.use(theirs.variables, theirs.minted.proxied)
      await revoke(theirs.recipe, theirs.minted.handle, other)
    })

    it('shows nothing of the secret when a connection does not work', async () => {
      const canary = `canary${randomBytes(8).toString('hex')}`
      for (const connection of bench.broken?.(canary) ?? []) {
        for (const error of await failures(bench.provider, connection)) {
          expect(isBrokerError(error), String(error)).toBe(true)
          expect(shownOf(error)).not.toContain(canary)
        }
      }
    })

    /** Asks the guard for a thing that is nowhere. */
    async function locate(connection: Connection) {
      const resource = { kind: 'volume', id: 'no-such-thing' }
      const question = { ...request(), connection, world: world(), fresh: true }
      return bench.provider.guard?.locate(resource, question)
    }

    /** Everything that is done with a connection, done with one that does not work. */
    async function failures(provider: Provider, connection: Connection): Promise<unknown[]> {
      const recipe = bench.provider.plan(request(), installId, bench.connection)
      const attempts: (() => unknown)[] = [
        () => provider.parseConnection?.(connection),
        () => provider.check?.(connection, world()),
        () => provider.plan(request(), installId, connection),
        () => provider.mint(request(), recipe, connection, world()),
        () => provider.revoke(recipe, null, connection, world()),
        () => provider.list?.(connection, world()),
        () => provider.narrowness?.({ ...request(), connection, probe: true }, world()),
        () => locate(connection),
      ]
      const errors: unknown[] = []
      for (const attempt of attempts) {
        await Promise.resolve()
          .then(attempt)
          .catch((error: unknown) => errors.push(error))
      }
      expect(errors.length).toBeGreaterThan(0)
      return errors
    }
  })
}

function thrown(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

/** All that a log, a terminal, a script or a crash report could show of an error. */
function shownOf(error: unknown): string {
  const { message, stack, hint, details } = error as Record<string, unknown>
  return `${inspect(error, { depth: 9, showHidden: true })}${JSON.stringify([error, message, stack, hint, details])}`
}

/** Values long enough to be secret, less those that the recipe names, and what the gate alone has. */
function secretsOf({ recipe, variables, minted }: Live): string[] {
  const open = JSON.stringify(recipe)
  const values = [...Object.values(variables), minted.proxied?.minted?.reveal() ?? '']
  return values.filter((value) => value.length >= 20 && !open.includes(value))
}
