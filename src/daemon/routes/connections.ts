import { connectRequest } from '../../api/schemas.ts'
import type {
  ConnectionList,
  ConnectionView,
  ConnectResult,
  ProviderList,
} from '../../api/types.ts'
import { connect, disconnect } from '../../broker/connect.ts'
import type { Context } from '../../broker/context.ts'
import { narrowness } from '../../broker/narrowness.ts'
import type { JsonObject } from '../../lib/json.ts'
import { Secret } from '../../lib/secret.ts'
import type { StoredConnection } from '../../store/store.ts'
import type { Server } from '../server.ts'

export function addConnectionRoutes(server: Server, context: Context): void {
  server.add('listConnections', async (): Promise<ConnectionList> => {
    const stored = await context.store.read.connections()
    return { connections: await Promise.all(stored.map((one) => view(context, one))) }
  })

  server.add('connect', async ({ request, reply }): Promise<ConnectResult> => {
    const { secret, ...wish } = connectRequest.parse(request.body)
    const result = await connect(context, {
      ...wish,
      settings: wish.settings as JsonObject,
      secret: secret === undefined ? null : new Secret(secret),
    })
    reply.code(201)
    return {
      connection: await view(context, result.connection),
      findings: result.findings,
      narrowness: await narrowness(context, {
        connection: result.connection.name,
        probe: false,
      }),
      replaced: result.replaced,
    }
  })

  server.add('disconnect', async ({ request }): Promise<ConnectionView> => {
    const { name } = request.params as { name: string }
    return view(context, await disconnect(context, name))
  })

  server.add('listProviders', async (): Promise<ProviderList> => {
    const providers = await Promise.all(
      (await context.providerNames()).map((name) => context.provider(name)),
    )
    return {
      providers: providers.map(({ name, mode, capability, secretPrompt, catalogue }) => ({
        name,
        mode,
        capability,
        secretPrompt,
        operations: [...catalogue.operations].map(([operation, risk]) => ({
          name: operation,
          risk,
        })),
      })),
    }
  })
}

async function view(context: Context, stored: StoredConnection): Promise<ConnectionView> {
  return {
    name: stored.name,
    provider: stored.provider,
    settings: stored.settings,
    createdAt: new Date(stored.createdAt).toISOString(),
    updatedAt: new Date(stored.updatedAt).toISOString(),
    liveLeases: await context.store.read.liveOnConnection(stored.name),
  }
}
