import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openListener } from '../../src/proxy/listener.ts'
import { AUTHORITY } from './attacks/authority.ts'
import { FRAMING } from './attacks/framing.ts'
import { answerOn, PHANTOM, REAL_KEY, readUntil, until, World } from './world.ts'

let folder: string
let world: World
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proxy-'))
  world = await World.open()
})
afterEach(async () => {
  await world.close()
  rmSync(folder, { recursive: true, force: true })
})

const at = (path: string) =>
  openListener({
    lease: 'lse_test',
    gate: world,
    at: { path },
    notAfter: new Date(Date.now() + 60_000),
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
  })

describe('a listener on a unix socket', () => {
  it('is refused when something else is at its path, which stays as it was', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, 'theirs')
    await expect(at(file)).rejects.toMatchObject({
      code: 'conflict',
      message: `something else is at "${file}" already`,
    })
    expect(readFileSync(file, 'utf8')).toBe('theirs')
    const path = join(folder, 'theirs.sock')
    const other = createServer((socket) => socket.end('theirs'))
    await new Promise<void>((done) => other.listen(path, done))
    await expect(at(path)).rejects.toMatchObject({ code: 'conflict' })
    expect(await readUntil(connect(path))).toBe('theirs')
    other.close()
  })

  it('is refused where there is no folder, and where the path is too long', async () => {
    for (const path of [join(folder, 'no', 'proxy.sock'), join(folder, 'x'.repeat(200))]) {
      await expect(at(path)).rejects.toMatchObject({
        code: 'internal',
        message: `the proxy cannot listen at "${path}"`,
      })
    }
  })

  it('is the user’s alone, and what is made meanwhile has the rights it should', async () => {
    const before = process.umask()
    const opening = at(join(folder, 'proxy.sock'))
    const made: string[] = []
    let open = true
    const make = () => {
      const name = join(folder, `folder-${made.length}`)
      mkdirSync(name)
      made.push(name)
      if (open) setImmediate(make)
    }
    make()
    const listener = await opening
    open = false
    expect(statSync(join(folder, 'proxy.sock')).mode & 0o777).toBe(0o600)
    for (const name of made) expect(statSync(name).mode & 0o700).toBe(0o700)
    expect(process.umask()).toBe(before)
    await listener.close()
    expect(existsSync(join(folder, 'proxy.sock'))).toBe(false)
  })

  it('behaves as one on loopback', async () => {
    const path = join(folder, 'proxy.sock')
    await world.listener.close()
    world.listener = await at(path)
    expect(world.listener.port).toBe(0)
    world.raw = async () => connect({ path, allowHalfOpen: true }).on('error', () => {})
    const socket = await world.tls()
    const request = `POST /x HTTP/1.1\r\nHost: api.test\r\nX-Phantom: ${PHANTOM}\r\nContent-Length: 5\r\n\r\nhello`
    for (let round = 0; round < 2; round++) {
      socket.write(request)
      expect((await answerOn(socket))?.status).toBe(200)
    }
    expect(world.api.arrived[0]?.fields).toContain(`Bearer ${REAL_KEY}`)
    expect(JSON.stringify(world.api.arrived)).not.toContain(PHANTOM)
    const plain = await world.raw()
    plain.write('GET http://plain.test/a HTTP/1.1\r\nHost: plain.test\r\n\r\n')
    expect((await answerOn(plain))?.body).toContain('fine GET /a')
    const refused = await world.raw()
    refused.write('CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n')
    expect((await answerOn(refused))?.status).toBe(403)
    const half = await world.through(`127.0.0.1:${world.plain.port}`)
    half.end('GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n')
    expect((await answerOn(half))?.status).toBe(403)
    const hanging = await world.tls()
    hanging.write('GET /hang HTTP/1.1\r\nHost: api.test\r\n\r\n')
    await until('the request upstream', () => world.api.heads === 3)
    const answer = answerOn(hanging)
    await world.listener.close()
    expect(JSON.parse((await answer)?.body ?? '{}').code).toBe('lease_ended')
    expect(existsSync(path)).toBe(false)
  })

  it('refuses the same attacks', async () => {
    const path = join(folder, 'proxy.sock')
    await world.listener.close()
    world.listener = await at(path)
    world.raw = async () => connect({ path, allowHalfOpen: true }).on('error', () => {})
    world.judging = async ({ body }) => (body ? world.allow() : { kind: 'inspect', limit: 4096 })
    const ways = {
      api: () => world.tls(),
      plain: () => world.through('plain.test:80'),
      proxy: world.raw,
    }
    for (const { name, via, raw, code } of [...FRAMING, ...AUTHORITY]) {
      const socket = await ways[via]()
      socket.write(Buffer.from(raw, 'latin1'))
      const answer = await answerOn(socket)
      expect([name, answer?.status, JSON.parse(answer?.body ?? '{}').code]).toEqual([
        name,
        403,
        code,
      ])
      socket.destroy()
    }
    expect(world.reached).toBe(0)
  })
})
