// Walls that go up before the lease is there, with a daemon of the test's own: it decides when, and what, it answers.
import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DaemonFrame } from '../../src/api/session.ts'
import { BIN, collect, until } from '../fixtures/broker.ts'
import { approval, FakeDaemon, LEASE } from '../unit/client-fake-daemon.ts'
import { hasBubblewrap } from './available.ts'
import { USUAL } from './machine.ts'
import { commandOf, descendantsOf, isInside } from './processes.ts'

const { version } = JSON.parse(readFileSync(join(BIN, '..', '..', 'package.json'), 'utf8'))
const BUNDLE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const ARGS = ['exec', '--quiet', '--isolation', 'confine', '--env', 'staging', '--']

let fake: FakeDaemon
let folder: string
let tree: string
let running: ChildProcess[]
let servers: Server[]
let send: (frame: DaemonFrame) => void

beforeEach(async () => {
  fake = new FakeDaemon(version)
  await fake.listen()
  folder = mkdtempSync(join(process.getuid?.() === 0 ? '/srv' : tmpdir(), 'ahead-'))
  tree = join(folder, 'home', 'project')
  mkdirSync(tree, { recursive: true })
  running = []
  servers = []
  fake.answer = (frame, answer) => {
    send = answer
    if (frame.type !== 'request') fake.usual(frame, answer)
  }
})
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
  for (const server of servers) server.close()
  rmSync(folder, { recursive: true, force: true })
  fake.close()
})

function exec(code: string) {
  const child = spawn(process.execPath, [BIN, ...ARGS, 'sh', '-c', code], {
    cwd: tree,
    env: { PATH: USUAL, HOME: join(folder, 'home'), BROKER_HOME: fake.folder },
  })
  running.push(child)
  return { child, ended: collect(child) }
}

/** Inside has been built, and our program is there. */
const stands = (child: ChildProcess) => descendantsOf(child.pid ?? 0).some(isInside)
const asked = () => until('it asked', () => fake.types().includes('request'))
const left = () => {
  const walls = join(fake.folder, 'run', 'walls')
  return existsSync(walls) ? readdirSync(walls) : []
}

/** What the daemon holds ready for the lease; each socket answers with its name. */
async function grant(base = 'tasks', services: [string, number][] = []): Promise<DaemonFrame> {
  const folder = join(fake.folder, 'run', base, LEASE.id)
  mkdirSync(join(folder, 'own'), { recursive: true, mode: 0o700 })
  const listen = async (name: string) => {
    const server = createServer((socket) => socket.end(`this is ${name}`))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(join(folder, name), resolve))
    return join(folder, name)
  }
  for (const name of ['ca.pem', 'bundle.pem']) writeFileSync(join(folder, name), BUNDLE)
  const proxy = {
    url: 'http://127.0.0.1:61128',
    caFile: join(folder, 'ca.pem'),
    bundleFile: join(folder, 'bundle.pem'),
    gitHeaders: [],
  }
  const opened = services.map(async ([host, port], index) => {
    return { host, port, socket: await listen(`tcp-${index}.sock`) }
  })
  const place = {
    folder,
    socket: await listen('own/task.sock'),
    proxySocket: await listen('proxy.sock'),
    services: await Promise.all(opened),
  }
  return { ...fake.grant(proxy), place } as DaemonFrame
}

const dial = (host: string, port: number) =>
  `${process.execPath} -e "require('net').connect(${port},'${host}').on('data',(d)=>console.log(''+d)).on('error',(e)=>console.log(e.code))"`

describe.runIf(hasBubblewrap())('walls that go up before the lease is there', () => {
  it('have nothing run in them if it is refused, and go', async () => {
    const { child, ended } = exec('touch ran')
    await asked()
    await until('they stand', () => stands(child))
    expect(left()).toHaveLength(1)
    const inside = descendantsOf(child.pid ?? 0)
    const error = { code: 'denied', message: 'not today', hint: 'ask again', details: {} } as const
    send({ type: 'error', error })
    const { status, err } = await ended
    expect(status).toBe(125)
    expect(err).toBe('broker: not today\nhint: ask again\n')
    expect(existsSync(join(tree, 'ran'))).toBe(false)
    expect(left()).toEqual([])
    await until('all are gone', () => inside.every((pid) => !commandOf(pid).includes('inside.cjs')))
  })

  it('say nothing if they are refused while they go up', async () => {
    const error = { code: 'denied', message: 'not today', hint: 'ask again', details: {} } as const
    fake.answer = (_frame, answer) => answer({ type: 'error', error })
    for (let n = 0; n < 10; n++) {
      const { status, err } = await exec('touch ran').ended
      expect([status, err]).toEqual([125, 'broker: not today\nhint: ask again\n'])
    }
  })

  it('have nothing run in them before the lease is bound', async () => {
    let bind = () => {}
    fake.answer = (frame, answer) => {
      send = answer
      if (frame.type === 'ack') bind = () => answer({ type: 'bound' })
      else if (frame.type !== 'request') fake.usual(frame, answer)
    }
    const { child, ended } = exec('touch ran')
    await asked()
    send(await grant())
    await until('it has the lease', () => fake.types().includes('ack'))
    await until('they stand', () => stands(child))
    expect(existsSync(join(tree, 'ran'))).toBe(false)
    bind()
    expect((await ended).status).toBe(0)
    expect(existsSync(join(tree, 'ran'))).toBe(true)
  })

  it('come down while a person decides, and what is new by then is seen to', async () => {
    const { child, ended } = exec('echo "[$(cat .env.local)]"')
    await asked()
    send({ type: 'pending', approval: approval() })
    await until('they stand', () => stands(child))
    await until('they are gone', () => descendantsOf(child.pid ?? 0).length === 0)
    await until('their folder is gone', () => left().length === 0)
    writeFileSync(join(tree, '.env.local'), 'KEY=of-the-person\n')
    send(await grant())
    expect(await ended).toMatchObject({ status: 0, out: '[]\n' })
  })

  it('are not those of a lease that came to stand elsewhere', async () => {
    const { ended } = exec(`cat "$SSL_CERT_FILE"; ${dial('127.0.0.1', 61128)}`)
    await asked()
    send(await grant('elsewhere'))
    expect(await ended).toMatchObject({ status: 0, out: `${BUNDLE}this is proxy.sock\n` })
  })

  it('show the lease under the names that it has outside, and no other one', async () => {
    const other = join(fake.folder, 'run', 'tasks', 'lse_another')
    mkdirSync(other, { recursive: true })
    writeFileSync(join(other, 'key'), 'of another')
    const { ended } = exec(
      'dir=$(dirname "$SSL_CERT_FILE"); echo "$dir"; ls "$dir/.."; cat "$SSL_CERT_FILE" "$NODE_EXTRA_CA_CERTS"; head -c 15 "$WGETRC"; echo; cat /etc/ssl/certs/ca-certificates.crt; touch "$dir/x" "$dir/../x" "$dir/recipe/x"; echo "$?"; echo login >"$NETRC" && cat "$NETRC"',
    )
    await asked()
    const lease = await grant()
    send(lease)
    const { status, out } = await ended
    const roots = existsSync('/etc/ssl/certs/ca-certificates.crt') ? BUNDLE : ''
    const folder = lease.type === 'lease' ? lease.place?.folder : undefined
    expect(out).toBe(
      `${folder}\n${LEASE.id}\n${BUNDLE}${BUNDLE}ca_certificate \n${roots}1\nlogin\n`,
    )
    expect(status).toBe(0)
    expect(left()).toEqual([])
  })

  it('let nothing be written to what is ours in them', async () => {
    const { ended } = exec(
      'cd /run/broker; ls -A | tr "\\n" " "; for f in x inside.cjs node own/x relays/x relays/0; do echo x 2>/dev/null >>$f && echo "wrote $f"; done; rm -f inside.cjs own/* relays/* 2>/dev/null && echo removed; mv own other 2>/dev/null && echo moved; echo x >open/x && echo open',
    )
    await asked()
    send(await grant())
    const { status, out } = await ended
    expect(out).toBe('caches inside.cjs node open own relays open\n')
    expect(status).toBe(0)
  })

  it('keep what was compiled for them with the broker, where no task sees it', async () => {
    const kept = join(fake.folder, 'state', 'compile-cache')
    mkdirSync(join(fake.folder, 'state'), { recursive: true, mode: 0o700 })
    const { ended } = exec(`ls '${kept}' 2>/dev/null || echo unseen`)
    await asked()
    send(await grant())
    expect(await ended).toMatchObject({ status: 0, out: 'unseen\n' })
    expect(statSync(kept).mode & 0o777).toBe(0o700)
    expect(readdirSync(kept)).not.toEqual([])
  })

  it('lead to the proxy and the services of the lease, by name', async () => {
    const { ended } = exec(`${dial('127.0.0.1', 61128)}; ${dial('db.example', 5432)}`)
    await asked()
    send(await grant('tasks', [['db.example', 5432]]))
    expect(await ended).toMatchObject({
      status: 0,
      out: 'this is proxy.sock\nthis is tcp-0.sock\n',
    })
  })

  it('leave nothing behind for long if exec is killed', async () => {
    const { child, ended } = exec('true')
    await asked()
    await until('they stand', () => stands(child))
    child.kill('SIGKILL')
    await ended
    expect(left()).toHaveLength(1)
    const next = exec('true')
    await until('the next one asks', () => fake.types().filter((t) => t === 'request').length === 2)
    send(await grant())
    expect((await next.ended).status).toBe(0)
    expect(left()).toEqual([])
  })
})

describe.runIf(hasBubblewrap())('walls that go up by the plan of the last task', () => {
  const remembered = () => join(fake.folder, 'state', 'plans', encodeURIComponent(tree))
  /** What stood ready for the last lease goes with it. */
  const clear = () => {
    for (const server of servers.splice(0)) server.close()
    rmSync(join(fake.folder, 'run', 'tasks'), { recursive: true, force: true })
  }
  async function granted(code: string) {
    const requests = () => fake.types().filter((type) => type === 'request').length
    const before = requests()
    const { ended } = exec(code)
    await until('it asks', () => requests() > before)
    send(await grant())
    return { ended }
  }
  async function runs(code: string) {
    const { ended } = await granted(code)
    const result = await ended
    clear()
    return result
  }
  it('are used if all is as it was', async () => {
    writeFileSync(join(tree, '.env'), 'KEY=of-the-person\n')
    await runs('true')
    expect(existsSync(remembered())).toBe(true)
    expect(statSync(remembered()).mode & 0o777).toBe(0o600)
    const { ino } = statSync(remembered())
    const found = await runs('echo "[$(cat .env)]"; cat /etc/hosts')
    expect(found.status).toBe(0)
    expect(found.out).toContain('[]\n')
    expect(found.out).toContain('localhost') // of a text that was not there when it was mounted
    expect(statSync(remembered()).ino).toBe(ino)
  })

  it('are not used if a secret has come since, and that one is hidden', async () => {
    await runs('true')
    writeFileSync(join(tree, '.env'), 'KEY=of-the-person\n')
    const found = await runs('echo "[$(cat .env)]"; grep -qw localhost /etc/hosts && echo whole')
    expect(found).toMatchObject({ status: 0, out: '[]\nwhole\n', err: '' })
  })

  it('make nothing anew that has gone since', async () => {
    mkdirSync(join(tree, '.vscode'))
    writeFileSync(join(tree, '.env'), 'KEY=of-the-person\n')
    await runs('true')
    rmSync(join(tree, '.env'))
    rmSync(join(tree, '.vscode'), { recursive: true })
    const found = await runs('ls -A')
    expect(found).toMatchObject({ status: 0, out: '', err: '' })
    expect(readdirSync(tree)).toEqual([])
  })

  it('hide what the plan hides, whatever the file says', async () => {
    writeFileSync(join(tree, '.env'), 'KEY=of-the-person\n')
    await runs('true')
    const shape = JSON.parse(readFileSync(remembered(), 'utf8'))
    const at = shape.arguments.findIndex((word: string) => word === join(tree, '.env'))
    shape.arguments.splice(at - 2, 3)
    shape.masked = []
    writeFileSync(remembered(), JSON.stringify(shape))
    const found = await runs('echo "[$(cat .env)]"')
    expect(found).toMatchObject({ status: 0, out: '[]\n', err: '' })
  })

  it('are made of the plan where the file cannot be read', async () => {
    await runs('true')
    for (const text of ['', '{', 'null', '{"arguments":"--bind / /"}', '{"arguments":[]}']) {
      writeFileSync(remembered(), text)
      expect(await runs('echo ran')).toMatchObject({ status: 0, out: 'ran\n', err: '' })
    }
  })

  it('end the task if a mask falls off that only the plan of the last task had seen to', async () => {
    writeFileSync(join(tree, '.env'), 'KEY=of-the-person\n')
    await runs('true')
    const { ended } = await granted('touch begun; sleep 20')
    await until('it runs', () => existsSync(join(tree, 'begun')))
    writeFileSync(join(tree, 'new'), 'KEY=another\n')
    renameSync(join(tree, 'new'), join(tree, '.env'))
    const { status, err } = await ended
    expect(status).toBe(137)
    expect(err).toContain('was replaced and could be read from inside')
  })
})
