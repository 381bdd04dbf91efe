import { unlockRequest } from '../../api/schemas.ts'
import type { DoctorReport, Health } from '../../api/types.ts'
import type { Context } from '../../broker/context.ts'
import { examine } from '../../broker/examine.ts'
import { Secret } from '../../lib/secret.ts'
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

  server.add('doctor', async (): Promise<DoctorReport> => ({ sections: await examine(context) }))

  server.add('unlockVault', async ({ request }) => {
    const { passphrase } = unlockRequest.parse(request.body)
    await context.vault.unlock(new Secret(passphrase))
    return context.vault.status()
  })
}
