import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import type { Socket } from 'node:net'
import type { GuardedTask } from '../../../fixtures/guarded.ts'
import { readUntil } from '../../world.ts'
import type { HttpSending, RawSending, Sending } from './attack.ts'

/** What came back, in the form that both protocols share. */
export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  /** Closes the connection: a client that goes away may be one more event to the proxy. */
  readonly close: () => void
}

/** Sends what is filled in already; undefined: the connection ended without an answer. */
export function send(task: GuardedTask, sending: Sending): Promise<Answered | undefined> {
  if (sending.kind === 'raw') return sendRaw(task, sending)
  return sending.kind === 'h2' ? sendHttp2(task, sending) : sendHttp(task, sending)
}

const authorityOf = (host: string) => (host.includes(':') ? host : `${host}:443`)

async function sendHttp(task: GuardedTask, { method, path, host, headers, body }: HttpSending) {
  const socket = await task.secure(authorityOf(host), { ALPNProtocols: ['http/1.1'] })
  const bytes = Buffer.from(body)
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${host}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(bytes.length > 0 || method === 'POST' ? [`Content-Length: ${bytes.length}`] : []),
  ]
  socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]))
  return firstAnswer(socket)
}

async function sendRaw(task: GuardedTask, { via, to, servername, bytes }: RawSending) {
  const options = { ALPNProtocols: ['http/1.1'], ...(servername !== undefined && { servername }) }
  const socket =
    via === 'tls'
      ? await task.secure(to, options)
      : await (via === 'plain' ? task.through(to) : task.plain())
  socket.write(Buffer.from(bytes, 'latin1'))
  return firstAnswer(socket)
}

/** One answer whose length is told. */
export async function firstAnswer(socket: Socket): Promise<Answered | undefined> {
  const read = await readUntil(socket, (sofar) => {
    const final = withoutInterim(sofar)
    const end = final.indexOf('\r\n\r\n')
    if (end < 0) return false
    const length = /content-length: (\d+)/i.exec(final.slice(0, end))
    return length !== null && final.length >= end + 4 + Number(length[1])
  })
  const text = withoutInterim(read)
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [line = '', ...fields] = text.slice(0, end).split('\r\n')
  return {
    status: Number(line.split(' ')[1]),
    headers: Object.fromEntries(fields.map(pair)),
    text: Buffer.from(text.slice(end + 4), 'latin1').toString(),
    close: () => socket.destroy(),
  }
}

/** `100 Continue` is a head of its own, before the answer. */
function withoutInterim(text: string): string {
  return text.replace(/^(?:HTTP\/1\.1 1\d\d[\s\S]*?\r\n\r\n)+/, '')
}

function pair(field: string): readonly [string, string] {
  const colon = field.indexOf(':')
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
}

async function sendHttp2(task: GuardedTask, { method, path, host, headers, body }: HttpSending) {
  const socket = await task.secure(authorityOf(host), { ALPNProtocols: ['h2'] })
  const session = connectHttp2(`https://${host}`, { createConnection: () => socket })
  const pseudo = { ':method': method, ':path': path, ':authority': host, ':scheme': 'https' }
  return exchange(session, { fields: { ...pseudo, ...Object.fromEntries(headers) }, body })
}

function exchange(
  session: ClientHttp2Session,
  { fields, body }: { readonly fields: Record<string, string>; readonly body: string | Uint8Array },
): Promise<Answered | undefined> {
  return new Promise((resolve) => {
    session.on('error', () => resolve(undefined))
    const stream = session.request(fields)
    let answered: Pick<Answered, 'status' | 'headers'> | undefined
    let text = ''
    stream.setEncoding('utf8')
    stream.on('error', () => {})
    stream.on('response', ({ ':status': status = 0, ...rest }) => {
      const headers = Object.entries(rest).map(([name, value]) => [name, String(value)])
      answered = { status, headers: Object.fromEntries(headers) }
    })
    stream.on('data', (piece: string) => {
      text += piece
    })
    const close = () => session.destroy()
    stream.on('close', () => resolve(answered && { ...answered, text, close }))
    stream.end(body)
  })
}
