import { isIP } from 'node:net'
import type { TaskPlaceView } from '../api/types.ts'
import type { Lease } from '../core/lease.ts'
import type { Isolation } from '../core/template.ts'
import { BrokerError } from '../errors.ts'
import type { LeaseId } from '../lib/ids.ts'
import type { Connection, Endpoint, Provider } from '../providers/provider.ts'
import type { Context } from './context.ts'
import type { Plan, PlannedGrant } from './plan.ts'

/** A TCP service that a task's variables name. */
export interface Service {
  /** What the task calls it. */
  readonly name: Endpoint
  /** Where it is. */
  readonly at: Endpoint
}

/** What the daemon needs to hold a task's place ready. */
export interface PlaceOrder {
  readonly lease: LeaseId
  readonly walls: Exclude<Isolation, 'scrub'>
  /** It ends with this run of the daemon. */
  readonly proxied: boolean
  /** Empty below `confine`: there the task has the machine's network. */
  readonly services: readonly Service[]
}

/** Makes ready what the daemon holds for a task behind walls; null for one that has none. */
export async function openPlace(
  context: Context,
  { walls, proxied }: Plan,
  lease: Lease,
  services: readonly Service[],
): Promise<TaskPlaceView | null> {
  if (walls === 'scrub') return null
  const needed = walls === 'confine' ? services : []
  return context.openPlace({ lease: lease.id, walls, proxied, services: needed })
}

/** The services of one grant, as a task behind these walls finds them. */
export function servicesOf(
  { provider, target }: Pick<PlannedGrant, 'provider' | 'target'>,
  connection: Connection | null,
  walls: Isolation,
): readonly Service[] {
  return endpointsOf(provider, connection, target).map((at) => ({
    name: { host: hostInside(at.host, walls), port: at.port },
    at,
  }))
}

/**
 * What a task behind these walls calls a host. A confined one has the addresses of its own loopback and no
 * other, so what is known by its address alone gets a name there.
 */
export function hostInside(host: string, walls: Isolation): string {
  if (walls !== 'confine' || isIP(host) === 0 || host === '::1' || /^127\./.test(host)) return host
  return `ip-${host.replace(/[^0-9A-Fa-f]/g, '-')}.broker.internal`
}

/** Behind walls the machine's unix sockets are not there: such a grant would be of no use. */
export function refuseUnreachable(
  grant: PlannedGrant,
  connection: Connection | null,
  walls: Isolation,
): void {
  if (walls === 'scrub') return
  const endpoints = endpointsOf(grant.provider, connection, grant.target)
  if (!endpoints.some(({ host }) => host.startsWith('/'))) return
  throw new BrokerError(
    'isolation_unavailable',
    `grant "${grant.name}" leads to a socket of this machine, which a task at "${walls}" does not have`,
    {
      hint: `store "${grant.connection ?? grant.name}" with a host and port, or use --isolation scrub`,
      details: { grant: grant.name, isolation: walls },
    },
  )
}

function endpointsOf(
  provider: Provider,
  connection: Connection | null,
  target: PlannedGrant['target'],
): readonly Endpoint[] {
  return provider.endpoints?.(connection, target) ?? []
}
