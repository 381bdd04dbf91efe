import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { freePort } from '../fixtures/free-port.ts'
import { Product } from '../fixtures/product.ts'
import { Served } from '../fixtures/serve.ts'
import { ask, exchange, exchangeForm, newToken, policy, Raw } from './serve-world.ts'

describe('broker serve', () => {
  let served: Served
  let idle: Product
  beforeAll(async () => {
    served = await Served.start(policy)
    idle = new Product()
  })
  afterAll(async () => {
    await served?.dispose()
    await idle?.dispose()
  })

  const refused = async (flags: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const { status, out, err } = await idle.run(['serve', ...flags], { env })
    expect(out).toBe('')
    expect(idle.daemons()).toEqual([])
    return { status, err: err.replaceAll(served.folder, '') }
  }
  const tls = () => ['--tls-cert', served.certFile, '--tls-key', served.keyFile]

  it('is refused without a certificate', async () => {
    expect(await refused([])).toEqual({
      status: 2,
      err: 'broker: serving needs a certificate: tokens are never taken in clear text\nhint: give --tls-cert FILE and --tls-key FILE; to try it on this machine alone: --plain-http\n',
    })
  })

  it('is refused in clear text beyond this machine', async () => {
    const { status, err } = await refused(['--plain-http', '--listen', '0.0.0.0:8443'])
    expect(status).toBe(2)
    expect(err).toContain('plain HTTP is not served on "0.0.0.0"')
  })

  it('is refused on a port that is taken, and before it opens anything', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await until('it listens', () => taken.listening)
    const { port } = taken.address() as { port: number }
    const { status, err } = await refused([...tls(), '--listen', `127.0.0.1:${port}`])
    taken.close()
    expect(status).toBe(1)
    expect(err).toContain(`port ${port} of "127.0.0.1" is taken`)
  })

  it('is refused on an address of another machine', async () => {
    const listen = ['--listen', '192.0.2.1:8443']
    const { status, err } = await refused([...tls(), ...listen])
    expect(status).toBe(2)
    expect(err).toContain('cannot listen on "192.0.2.1", port 8443')
  })

  it('is refused with roots of issuers that are none', async () => {
    const cut = join(served.folder, 'cut.pem')
    writeFileSync(cut, served.ca.slice(0, 200))
    for (const [file, message] of [
      [served.keyFile, 'holds no certificates of issuers'],
      [cut, 'holds no certificates of issuers'],
      [join(served.folder, 'nothing'), '/nothing" (ENOENT)'],
    ] as const) {
      const listen = ['--listen', `127.0.0.1:${await freePort()}`]
      const { status, err } = await refused([...tls(), ...listen, '--issuer-ca', file])
      expect(status).toBe(1)
      expect(err).toContain(message)
    }
  })

  it('is refused while a daemon of the home runs', async () => {
    const flags = [...tls(), '--listen', `127.0.0.1:${await freePort()}`]
    const { status, err } = await served.run(['serve', ...flags])
    expect(status).toBe(1)
    expect(err).toContain(`a daemon of this home runs already, pid ${served.pid}`)
    expect(err).toContain('broker daemon stop')
  })

  it('is refused inside a task', async () => {
    const { status, err } = await refused(tls(), { BROKER_HANDLE: 'bkh_x' })
    expect(status).toBe(3)
    expect(err).toContain('a task cannot serve')
  })

  it('says in one line what it serves, and whom it trusts', async () => {
    await served.stop()
    const before = served.out.length
    await served.launch()
    expect(served.out.slice(before)).toBe(
      `broker: serving ${served.url} · 3 templates · trusts ${served.issuer.url}\n`,
    )
  })

  it('logs after templates were applied whom it trusts now, and who of them could not be asked', async () => {
    const told = () =>
      served.log
        .split('\n')
        .filter((line) => line.includes('"message":"issuers"'))
        .map((line) => JSON.parse(line))
    // Of each start, and of the templates it began with: the last may still be on its way to us.
    const starts = served.out.split('serving').length - 1
    await until('all that was told is here', () => told().length > starts)
    const before = told()
    expect(before).toHaveLength(starts + 1)
    expect(before.at(-1)).toMatchObject({ trusted: served.issuer.url, failed: '' })
    const nobody = `https://127.0.0.1:${await freePort()}`
    const file = join(served.folder, 'more.yaml')
    writeFileSync(file, policy(served.issuer.url).replace(served.issuer.url, nobody))
    await served.must(['template', 'apply', file, '--yes'])
    await until('it was told', () => told().length > before.length)
    const [{ trusted, failed }, more] = told().slice(before.length)
    expect(trusted.split(' ').sort()).toEqual([nobody, served.issuer.url].sort())
    expect(failed).toBe(nobody)
    expect(more).toBeUndefined()
  })

  it('serves plain HTTP on this machine when told to', async () => {
    const port = await freePort()
    const child = idle.spawn(['serve', '--plain-http', '--listen', `127.0.0.1:${port}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let out = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      out += bytes
    })
    await until('it serves', () => out.includes('serving'))
    expect(out).toBe(
      `broker: serving http://127.0.0.1:${port} · 1 template · trusts no issuer yet\n`,
    )
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
    child.kill('SIGTERM')
    await until('it has ended', () => child.exitCode !== null)
    expect(child.exitCode).toBe(0)
  })

  it('logs one JSON object a line', async () => {
    const lines = served.log.trim().split('\n')
    expect(lines.length).toBeGreaterThan(3)
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({
        time: expect.any(String),
        level: expect.stringMatching(/^(info|warn|error)$/),
        message: expect.any(String),
      })
    }
  })

  it('is the daemon of its home as well', async () => {
    const status = await served.json<{ pid: number }>(['daemon', 'status'])
    expect(status.pid).toBe(served.pid)
  })

  it('speaks nothing older than TLS 1.2', async () => {
    const old = connect({
      port: served.port,
      host: '127.0.0.1',
      ca: served.ca,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    const code = await new Promise((resolve) => {
      old.once('secureConnect', () => resolve('connected'))
      old.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    })
    old.destroy()
    expect(code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
  })
})

describe('a renewed certificate', () => {
  let served: Served
  beforeAll(async () => {
    served = await Served.start(policy)
  })
  afterAll(() => served?.dispose())

  const serial = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ port: served.port, host: '127.0.0.1', ca: served.ca })
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
    })
  const said = (text: string) => served.log.split(text).length - 1

  it('that is broken leaves the old one in use, and is logged', async () => {
    const before = await serial()
    const good = readFileSync(served.certFile)
    writeFileSync(served.certFile, 'canary')
    process.kill(served.pid, 'SIGHUP')
    await until('it was looked at', () => said('the certificate stays as it was') === 1)
    expect(served.log).not.toContain('canary')
    expect(await serial()).toBe(before)
    writeFileSync(served.certFile, good)
  })

  it('is taken up on SIGHUP, and open connections live on', async () => {
    const before = await serial()
    const open = await Raw.tls(served)
    await served.renewCertificate()
    process.kill(served.pid, 'SIGHUP')
    await until('it was taken up', () => said('certificate taken up') === 1)
    expect(await serial()).not.toBe(before)
    open?.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    await expect.poll(() => open?.text).toContain('"status":"ok"')
    open?.socket.destroy()
  })
})

describe('on SIGTERM', () => {
  let served: Served
  beforeAll(async () => {
    served = await Served.start(policy)
  })
  afterAll(() => served?.dispose())

  it('what is under way finishes, nothing new is taken, and a second signal changes nothing', async () => {
    const form = new URLSearchParams(exchangeForm(await newToken(served))).toString()
    const half = await Raw.tls(served)
    const kept = await Raw.tls(served)
    if (!half || !kept) throw new Error('the server hung up')
    kept.write('GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n')
    await expect.poll(() => kept.text).toContain('"ready":true')
    const head = `POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${form.length}\r\n\r\n`
    half.write(head + form.slice(0, 10))
    // Answered after it on the same loop: the server has seen the half.
    expect((await ask(served, { path: '/healthz' })).status).toBe(200)
    const { pid } = served
    const stopped = served.stop()
    await until('it takes nothing new', async () => (await Raw.tls(served)) === null)
    process.kill(pid, 'SIGTERM')
    process.kill(pid, 'SIGINT')
    half.write(form.slice(10))
    await half.closed
    expect(half.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(half.text).toMatch(/connection: close/i)
    expect(half.text).toContain('"access_token"')
    expect(await stopped).toBe(0)
    const last = served.log.trim().split('\n').at(-1) ?? ''
    expect(JSON.parse(last)).toMatchObject({ message: 'stopped' })
  })

  it('a connection that is kept hears that it drains, and gets no more work', async () => {
    await served.launch()
    const [half, kept] = [await Raw.tls(served), await Raw.tls(served)]
    if (!half || !kept) throw new Error('the server hung up')
    half.write('POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n')
    // Two requests are under way on it when the signal comes: the first is not whole yet.
    kept.write(
      'POST /oauth/revoke HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 7\r\n\r\n',
    )
    expect((await ask(served, { path: '/healthz' })).status).toBe(200)
    const stopped = served.stop()
    await until('it takes nothing new', async () => (await Raw.tls(served)) === null)
    kept.write('token=xGET /readyz HTTP/1.1\r\nhost: x\r\n\r\n')
    await kept.closed
    expect(kept.text).toMatch(/^HTTP\/1\.1 200 /)
    expect(kept.text).toMatch(/connection: close/i)
    half.socket.destroy()
    expect(await stopped).toBe(0)
  })

  it('and a restart, the token that was used stays used', async () => {
    await served.launch()
    const form = exchangeForm(await newToken(served))
    expect((await exchange(served, form)).status).toBe(200)
    await served.stop()
    await served.launch()
    expect((await exchange(served, form)).body.error_description).toBe(
      'the subject token was used already',
    )
  })
})

describe('a server whose database is held by somebody else', () => {
  it('is not ready, says why, and is ready again when it can write', async () => {
    const served = await Served.start(policy)
    const ready = () => ask(served, { path: '/readyz' })
    try {
      expect(await ready()).toMatchObject({ status: 200, body: { ready: true, reasons: [] } })
      const holder = new DatabaseSync(join(served.home, 'state', 'broker.sqlite'))
      holder.exec('begin immediate')
      await expect
        .poll(async () => (await ready()).body, { timeout: 40_000, interval: 500 })
        .toEqual({ ready: false, reasons: ['audit_not_writable'] })
      expect((await ready()).status).toBe(503)
      holder.exec('rollback')
      holder.close()
      await expect
        .poll(async () => (await ready()).status, { timeout: 40_000, interval: 500 })
        .toBe(200)
    } finally {
      await served.dispose()
    }
  })
})
