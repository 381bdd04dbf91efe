import { Agent, request as send } from 'undici'
import type { WebSocket } from 'ws'
import { connect as storeConnection } from '../../src/broker/connect.ts'
import { Secret } from '../../src/lib/secret.ts'
import { CertificateAuthority } from '../../src/proxy/certificates.ts'
import type { Guarded } from '../fixtures/guarded.ts'
import { SocketUpstream } from './ws-upstream.ts'

/**
 * Puts a server with a websocket before the cloud, as Railway has one: the connection leads there from
 * now on. Requests go on to the cloud; messages are written down and answered as if they had been run.
 */
export async function putFront({ cloud, context }: Guarded): Promise<SocketUpstream> {
  const notAfter = new Date(Date.now() + 3_600_000)
  const authority = await CertificateAuthority.create('front', new Date(), notAfter)
  const front = await SocketUpstream.open(authority, '127.0.0.1')
  const dispatcher = new Agent({ connect: { ca: cloud.ca } })
  front.serving = async (incoming, outgoing) => {
    const parts: Buffer[] = []
    for await (const part of incoming) parts.push(part)
    const {
      host: _host,
      connection: _own,
      'content-length': _length,
      ...headers
    } = incoming.headers
    const method = incoming.method as 'POST'
    const body = Buffer.concat(parts)
    const answer = await send(`${cloud.url}${incoming.url}`, { method, headers, body, dispatcher })
    outgoing.writeHead(answer.statusCode, { 'content-type': 'application/json' })
    outgoing.end(await answer.body.text())
  }
  front.answering = answer
  await storeConnection(context, {
    provider: 'railway',
    name: 'railway-main',
    secret: new Secret(cloud.accountToken),
    settings: { url: `https://127.0.0.1:${front.port}`, caFile: '/front.pem', ca: authority.pem },
    check: true,
  })
  return front
}

function answer(open: WebSocket, text: string): void {
  const { type, id } = JSON.parse(text)
  if (type === 'connection_init') open.send('{"type":"connection_ack"}')
  if (type === 'ping') open.send('{"type":"pong"}')
  if (type !== 'subscribe') return
  open.send(JSON.stringify({ id, type: 'next', payload: { data: { ran: true } } }))
  open.send(JSON.stringify({ id, type: 'complete' }))
}
