import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Agent, request } from 'undici'
import { newIdentity } from '../../src/demo/cloud/certificate.ts'
import type { Cloud } from '../../src/demo/cloud/cloud.ts'
import type { HeldMint } from './provider-suite.ts'

export interface Front {
  readonly url: string
  readonly ca: string
  /** Stands still at the next token that is made: the cloud has made it, its answer is on the way. */
  hold(): HeldMint
  close(): Promise<void>
}

/** A server before a cloud that passes everything on, as slow networks and gateways do. */
export async function startFront(cloud: Cloud): Promise<Front> {
  const identity = await newIdentity()
  const agent = new Agent({ connect: { ca: cloud.ca } })
  let held: Held | null = null
  const server = createServer(
    { cert: identity.certificate, key: identity.key.reveal() },
    async (incoming, outgoing) => {
      const parts: Buffer[] = []
      for await (const part of incoming) parts.push(part)
      const body = Buffer.concat(parts)
      const {
        host: _host,
        'content-length': _length,
        connection: _c,
        ...headers
      } = incoming.headers
      const answer = await request(`${cloud.url}${incoming.url}`, {
        method: 'POST',
        headers,
        body,
        dispatcher: agent,
      })
      const text = await answer.body.text()
      if (held && body.includes('projectTokenCreate')) {
        const { reached, released } = held
        held = null
        reached.resolve()
        incoming.socket.once('close', () => released.resolve('cut'))
        if ((await released.promise) === 'cut') return void incoming.socket.destroy()
      }
      outgoing.writeHead(answer.statusCode, { 'content-type': 'application/json' }).end(text)
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: identity.ca,
    hold() {
      const mine = newHeld()
      held = mine
      return {
        reached: () => mine.reached.promise,
        cut: async () => mine.released.resolve('cut'),
        release: async () => mine.released.resolve('go'),
      }
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await agent.destroy()
    },
  }
}

interface Held {
  readonly reached: PromiseWithResolvers<void>
  readonly released: PromiseWithResolvers<'go' | 'cut'>
}

function newHeld(): Held {
  return { reached: Promise.withResolvers(), released: Promise.withResolvers() }
}
