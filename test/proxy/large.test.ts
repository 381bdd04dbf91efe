import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { MEGABYTE } from './upstream.ts'
import { answerOn, headOf, until, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await World.open()
})
afterAll(() => world.close())
beforeEach(() => world.clear())

const SIZE = 100 * MEGABYTE.length
const DIGEST = (() => {
  const hash = createHash('sha256')
  for (let sent = 0; sent < 100; sent++) hash.update(MEGABYTE)
  return hash.digest('hex')
})()

async function pour(into: Duplex): Promise<void> {
  for (let sent = 0; sent < 100; sent++) {
    if (!into.write(MEGABYTE)) await once(into, 'drain')
  }
}

/** Client, proxy and upstream share this process; what they hold together has to stay small. */
async function growth(act: () => Promise<void>): Promise<number> {
  const start = process.memoryUsage.rss()
  let peak = start
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  await act()
  clearInterval(watch)
  return (peak - start) / MEGABYTE.length
}

async function upload(): Promise<void> {
  const socket = await world.tls()
  socket.write(`POST /up HTTP/1.1\r\nHost: api.test\r\nContent-Length: ${SIZE}\r\n\r\n`)
  await pour(socket)
  expect((await answerOn(socket))?.body).toBe(`fine POST /up ${SIZE} ${DIGEST}`)
}

it('streams 100 MB up, whole and without holding it', async () => {
  await upload() // the heap finds its size
  world.clear()
  expect(await growth(upload)).toBeLessThan(50)
  await until('the outcome', () => world.outcomes.length === 1)
  expect(world.outcomes[0]).toMatchObject({ bytesUp: SIZE, end: 'complete' })
})

it('streams 100 MB up over HTTP/2', async () => {
  const socket = await world.tls('api.test:443', { ALPNProtocols: ['h2'] })
  const session = connectHttp2('https://api.test', { createConnection: () => socket })
  const stream = session.request({ ':path': '/up', ':method': 'POST' })
  let text = ''
  stream.on('data', (piece) => (text += piece))
  await pour(stream)
  stream.end()
  await once(stream, 'end')
  expect(text).toBe(`fine POST /up ${SIZE} ${DIGEST}`)
  session.destroy()
})

it('streams 100 MB down at the pace of the client, without holding it', async () => {
  const socket = await world.tls()
  socket.write('GET /down HTTP/1.1\r\nHost: api.test\r\n\r\n')
  expect(await headOf(socket)).toContain(`content-length: ${SIZE}`)
  const hash = createHash('sha256')
  let size = 0
  const grown = await growth(async () => {
    // Not a byte is read for a while: the upstream has to stop, long before it is done.
    let before = -1
    await until('the upstream stands still', () => {
      const sent = [...world.api.open].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
      const still = sent === before
      before = sent
      return still
    })
    expect(before).toBeLessThan(SIZE / 4)
    socket.on('data', (piece: Buffer) => {
      size += piece.length
      hash.update(piece)
    })
    await until('all of it', () => size === SIZE, 30_000)
  })
  expect(hash.digest('hex')).toBe(DIGEST)
  expect(grown).toBeLessThan(50)
})
