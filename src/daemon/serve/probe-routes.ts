import type { Health } from '../../api/types.ts'
import type { Server } from '../server.ts'
import type { Metrics } from './metrics.ts'
import type { Standing, Unready } from './standing.ts'

export interface ProbeTerms {
  /** Nothing of this machine: a stranger need not know its paths. */
  readonly health: () => Pick<Health, 'status' | 'version'>
  readonly standing: Standing
  readonly metrics: Metrics
}

/** What orchestrators and Prometheus ask. Anybody may: there is nothing of a lease in it. */
export function addProbeRoutes(server: Server, { health, standing, metrics }: ProbeTerms): void {
  server.add('health', async () => health())

  server.add('ready', async ({ reply }) => {
    const { status } = health()
    const reasons: readonly Unready[] =
      status === 'ok' ? await standing.unready() : [status === 'stopping' ? 'draining' : 'starting']
    reply.code(reasons.length === 0 ? 200 : 503).header('cache-control', 'no-store')
    return { ready: reasons.length === 0, reasons }
  })

  server.add('metrics', async ({ reply }) => {
    reply.type(metrics.contentType).header('cache-control', 'no-store')
    return metrics.text()
  })
}
