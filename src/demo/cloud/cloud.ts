import type { AddressInfo } from 'node:net'
import type { ProjectTokenReach } from './access.ts'
import { newIdentity } from './certificate.ts'
import type { FailureMode } from './failure.ts'
import { newMaker } from './maker.ts'
import { RateLimit } from './rate-limit.ts'
import type { RecordedRequest } from './record.ts'
import { cloudServer, type Serving } from './server.ts'
import { openShop, type ShopName } from './shop.ts'
import { type Snapshot, snapshotOf } from './snapshot.ts'
import type { CloudWorld } from './world.ts'

/** What Railway allows an hour on its largest plan. */
const PER_HOUR = 10_000

export interface CloudOptions {
  /** The same seed gives the same ids and tokens; without one they are random. */
  readonly seed?: string
  /** Changes the world before anybody sees it. */
  readonly furnish?: (world: CloudWorld, ids: Readonly<Record<ShopName, string>>) => void
  /** Requests an hour for each caller. */
  readonly rateLimit?: number
  /** What project tokens may do with things that other environments share; `environment` by default. */
  readonly projectTokens?: ProjectTokenReach
  readonly now?: () => Date
}

export interface Cloud {
  /** `https://127.0.0.1:PORT`; the API is at `/graphql/v2`. */
  readonly url: string
  /** PEM: the only authority that vouches for it. */
  readonly ca: string
  /** Live: what clients do is seen here, and what is changed here is seen by clients. */
  readonly world: CloudWorld
  readonly ids: Readonly<Record<ShopName, string>>
  /** Opens everything. Worth nothing outside this process, hence not wrapped. */
  readonly accountToken: string
  readonly projectTokens: { readonly staging: string; readonly production: string }
  /** Everything that arrived, in the order of arrival. */
  readonly record: readonly RecordedRequest[]
  fail(mode: FailureMode): void
  /** Another limit from now on, with everybody's count at nought. */
  limit(requestsPerHour: number): void
  /** What is alive in production, to compare with what was. */
  snapshot(): Snapshot
  /** Cuts what is open. May be repeated. */
  close(): Promise<void>
}

/**
 * A cloud of one's own on a loopback port: Railway's public API as far as the folder "schema" goes,
 * over real TLS, in memory. Where Railway documents nothing, the code that had to assume something
 * says what. Fails only where no port can be had.
 */
export async function startCloud(options: CloudOptions = {}): Promise<Cloud> {
  const maker = newMaker(options.seed, options.now)
  const { world, ids, tokens } = openShop(maker)
  options.furnish?.(world, ids)
  const limitOf = (perHour: number) => new RateLimit(perHour, maker.now)
  const serving: Serving = {
    ...{ world, maker, record: [], sockets: new Set(), failure: 'off' },
    reach: options.projectTokens ?? 'environment',
    rateLimit: limitOf(options.rateLimit ?? PER_HOUR),
  }
  const identity = await newIdentity()
  const server = cloudServer(serving, identity)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: identity.ca,
    ...{ world, ids },
    accountToken: tokens.account,
    projectTokens: { staging: tokens.staging, production: tokens.production },
    record: serving.record,
    fail(mode) {
      serving.failure = mode
      if (mode === 'down') for (const socket of serving.sockets) socket.resetAndDestroy()
    },
    limit(perHour) {
      serving.rateLimit = limitOf(perHour)
    },
    snapshot: () => snapshotOf(world),
    close() {
      server.close()
      for (const socket of serving.sockets) socket.destroy()
      return closed
    },
  }
}
