import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openServicePipe, type ServicePipe } from '../../src/daemon/tasks/service-pipe.ts'
import { until } from '../fixtures/broker.ts'

let folder: string
let path: string
let server: Server
let pipe: ServicePipe | undefined
/** What the service does with each connection. */
let serve: (socket: Socket) => void
const accepted: Socket[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pipe-'))
  path = join(folder, 'tcp-0.sock')
  serve = (socket) => socket.pipe(socket)
  accepted.length = 0
  server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(async () => {
  pipe?.close()
  for (const socket of accepted) socket.destroy()
  if (server.listening) await new Promise((done) => server.close(done))
  rmSync(folder, { recursive: true, force: true })
})

function port(): number {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

async function open(limits = { most: 100, connectMs: 60_000 }): Promise<void> {
  pipe = await openServicePipe(path, { host: 'localhost', port: port() }, limits)
}

function client(): Socket {
  return connect({ path, allowHalfOpen: true }).on('error', () => {})
}

async function allOf(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** A service whose queue of connections is full: to connect there takes for ever. */
async function startDeaf(): Promise<{ port: number; stop(): void }> {
  const program = `require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 },
    function () { console.log(this.address().port) })`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  child.kill('SIGSTOP')
  const waiting = Array.from({ length: 8 }, () => connect(Number(line), '127.0.0.1'))
  for (const socket of waiting) socket.on('error', () => {})
  await once(waiting[0] as Socket, 'connect')
  const stop = () => {
    for (const socket of waiting) socket.destroy()
    child.kill('SIGKILL')
  }
  return { port: Number(line), stop }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((done) => socket.resume().once('close', () => done()))
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

describe('a pipe to a service', () => {
  it('takes nothing more and cuts what is open at once when it is closed', async () => {
    await open()
    const sockets = [client(), client()]
    for (const socket of sockets) socket.write('x')
    await Promise.all(sockets.map((socket) => once(socket, 'data')))
    const ends = [...sockets, ...accepted].map((socket) => once(socket, 'close'))
    const began = performance.now()
    pipe?.close()
    for (const socket of accepted) socket.resume().once('end', () => socket.destroy())
    for (const socket of sockets) socket.once('end', () => socket.destroy())
    await Promise.all(ends)
    expect(performance.now() - began).toBeLessThan(100)
    expect(existsSync(path)).toBe(false)
    const [error] = await once(connect(path), 'error')
    expect(error).toMatchObject({ code: 'ENOENT' })
  })

  it('closes a connection beyond its limit unheard', async () => {
    await open({ most: 1, connectMs: 60_000 })
    const first = client()
    first.write('x')
    await once(first, 'data')
    const second = client()
    second.write('y')
    await closed(second)
    expect(accepted).toHaveLength(1)
    first.end()
    await closed(first)
    await until('there is room', async () => {
      const third = client()
      third.write('z')
      const heard = await Promise.race([once(third, 'data'), closed(third)])
      third.destroy()
      return String(heard) === 'z'
    })
  })

  it('ends a connection to a service that is not there', async () => {
    await open()
    await new Promise((done) => server.close(done))
    const socket = client()
    socket.write('x')
    expect((await allOf(socket)).length).toBe(0)
  })

  it('gives up on a service that does not answer', async () => {
    const deaf = await startDeaf()
    try {
      pipe = await openServicePipe(
        path,
        { host: '127.0.0.1', port: deaf.port },
        { most: 100, connectMs: 50 },
      )
      await closed(
        client()
          .resume()
          .on('end', function (this: Socket) {
            this.destroy()
          }),
      )
    } finally {
      deaf.stop()
    }
  })

  it('cuts the client off when the service resets it', async () => {
    serve = (socket) => socket.once('data', () => socket.resetAndDestroy())
    await open()
    const socket = client()
    socket.write('x')
    // A unix socket knows no reset: both its sides are gone, which a write tells.
    await once(socket.resume(), 'end')
    socket.write('y')
    await closed(socket)
  })

  it('ends the connection to the service when the client is gone', async () => {
    await open()
    const socket = client()
    socket.write('x')
    await once(socket, 'data')
    socket.destroy()
    const [service] = accepted
    if (service && !service.readableEnded) await once(service, 'end')
  })

  it('is the user’s alone', async () => {
    await open()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('passes an answer that comes after the client has ended its side', async () => {
    serve = async (socket) => {
      const asked = await allOf(socket)
      socket.end(`heard ${asked}`)
    }
    await open()
    const socket = client()
    socket.end('all of it')
    expect(String(await allOf(socket))).toBe('heard all of it')
  })

  it('loses nothing of what the client sends after the service has ended its side', async () => {
    const bytes = randomBytes(8 * 1024 * 1024)
    const arrived = new Promise<Buffer>((resolve) => {
      serve = (socket) => {
        socket.end('enough')
        resolve(allOf(socket))
      }
    })
    await open()
    const socket = client()
    await once(socket.resume(), 'end')
    socket.end(bytes)
    expect(digest(await arrived)).toBe(digest(bytes))
  })

  it('reads from the client no faster than the service does', async () => {
    const bytes = randomBytes(32 * 1024 * 1024)
    serve = (socket) => socket.pause()
    await open()
    const socket = client()
    for (let at = 0; at < bytes.length; at += 65_536) socket.write(bytes.subarray(at, at + 65_536))
    // It stands still: the same number of bytes left for many rounds of the loop.
    let last = -1
    let still = 0
    await until('nothing moves', () => {
      still = socket.writableLength === last ? still + 1 : 0
      last = socket.writableLength
      return last < bytes.length && still >= 10
    })
    expect(bytes.length - socket.writableLength).toBeLessThan(bytes.length / 2)
    const [service] = accepted
    if (!service) throw new Error('nobody came')
    const arrived = allOf(service)
    socket.end()
    expect(digest(await arrived)).toBe(digest(bytes))
  })
})
