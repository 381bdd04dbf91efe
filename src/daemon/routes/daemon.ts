import { doctorQuery, unlockRequest } from '../../api/schemas.ts'
import type { DoctorReport, Health } from '../../api/types.ts'
import type { Context } from '../../broker/context.ts'
import { examine } from '../../broker/examine.ts'
import { narrowness } from '../../broker/narrowness.ts'
import { Secret } from '../../lib/secret.ts'
import { selfProtection } from '../self-protection.ts'
import type { Server } from '../server.ts'

export function addDaemonRoutes(
  server: Server,
  context: Context,
  health: () => Health,
  stop: () => void,
): void {
  server.add('health', async () => health())
  server.add('daemonStatus', async () => health())

  server.add('daemonStop', async ({ reply }) => {
    reply.raw.once('finish', stop)
    return health()
  })

  server.add('doctor', async ({ request }): Promise<DoctorReport> => {
    const { probe } = doctorQuery.parse(request.query)
    const own = { title: 'daemon', findings: selfProtection() }
    const sections = [own, ...(await examine(context))]
    return { sections: probe ? [...sections, ...(await narrowness(context, { probe }))] : sections }
  })

  server.add('unlockVault', async ({ request }) => {
    const { passphrase } = unlockRequest.parse(request.body)
    await context.vault.unlock(new Secret(passphrase))
    return context.vault.status()
  })
}
