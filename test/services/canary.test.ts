import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BIN, collect, type Result, until } from '../fixtures/broker.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { Product, pids, proc, STAGING } from '../fixtures/product.ts'

/** With every character that some encoding treats in its own way. */
const canary = (name: string) => `${name}/?&%:@+="'\\é${randomBytes(12).toString('hex')}`

const ADMIN = canary('admin')
const NEXT_ADMIN = canary('rotated')
const WRONG_HOST = canary('host')
const WRONG_PASSWORD = canary('wrong')
const GARBAGE = `garbage${randomBytes(12).toString('hex')}`
const PASSPHRASE = canary('passphrase')

describe.skipIf(postgresMissing())('no secret is ever seen where it does not belong', () => {
  let server: Postgres
  let broker: Product
  /** Outside of the home: what the children of the tasks were given. */
  let given: string
  const secrets = new Map<string, string>([
    ['the admin password', ADMIN],
    ['the rotated admin password', NEXT_ADMIN],
    ['a password for a wrong host', WRONG_HOST],
    ['a wrong password', WRONG_PASSWORD],
    ['a part of a URL that is none', GARBAGE],
    ['the passphrase of the vault', PASSPHRASE],
  ])
  const output: string[] = []
  const commandLines = new Set<string>()
  const daemonEnvironments = new Set<string>()
  let sampler: NodeJS.Timeout | undefined

  beforeAll(async () => {
    server = await startPostgres()
    given = mkdtempSync(join(tmpdir(), 'broker-given-'))
    await server.query('CREATE TABLE orders (id int)')
    // Set by its verifier, as a careful admin would: the server's log is searched as well.
    await server.query('SET log_statement = none; CREATE ROLE root_admin SUPERUSER LOGIN')
    await setPassword(ADMIN)
    broker = new Product()
    sampler = setInterval(sample, 15)
    await everyFlow()
    clearInterval(sampler)
    sample()
  }, 240_000)
  afterAll(async () => {
    clearInterval(sampler)
    await broker?.dispose()
    await server?.dispose()
    if (given) rmSync(given, { recursive: true, force: true })
  })

  async function setPassword(password: string): Promise<void> {
    const text = pg.escapeLiteral(password)
    await server.query(
      `SET log_statement = none; SET log_min_error_statement = panic; ALTER ROLE root_admin PASSWORD ${text}`,
    )
  }

  const url = (password: string, host = `${server.host}:${server.port}`) =>
    `postgresql://root_admin:${encodeURIComponent(password)}@${host}/postgres?sslmode=disable`

  async function run(args: readonly string[], input = ''): Promise<Result> {
    const result = await broker.run(args, { input, env: ENV })
    output.push(result.out, result.err)
    return result
  }
  const ENV = { BROKER_VAULT_PASSPHRASE: PASSPHRASE }
  const CONNECT = ['connect', 'postgres', 'pg-staging', '--secret-stdin']
  const exec = (script: string, ...flags: string[]) =>
    run(['exec', '--env', 'staging', ...flags, '--', 'sh', '-c', script])
  const keep = (name: string) => `env -0 > "${join(given, name)}"`

  async function everyFlow(): Promise<void> {
    // With core files allowed, as far as this machine lets us.
    const start = `ulimit -c unlimited; exec "$0" "$1" daemon start`
    const shell = broker.spawnShell(start, [process.execPath, BIN], ENV)
    expect((await collect(shell)).status).toBe(0)
    await refusedSecrets()
    expect((await run(CONNECT, url(ADMIN))).status).toBe(0)
    await broker.prepare(STAGING)
    await tasks()
    await looks()
    await rotation()
    await outage()
    await crash()
    await looks()
  }

  async function refusedSecrets(): Promise<void> {
    const inputs = [
      url(WRONG_HOST, '127.0.0.1:1'),
      url(WRONG_HOST, 'no-such-host.invalid'),
      url(WRONG_PASSWORD),
      `postgresql://u:${GARBAGE}\n\0@h/d`,
      `${GARBAGE}`,
      `postgresql://${GARBAGE}`,
      `https://u:${GARBAGE}@h/d`,
      `postgresql://u:${GARBAGE}?x@h/d`,
      `postgresql://u:%ZZ${GARBAGE}@h/d`,
    ]
    for (const input of inputs) {
      const refused = await run([...CONNECT, '--json'], input)
      expect(refused.status).not.toBe(0)
    }
    await run([...CONNECT, '--no-check'], `postgresql://u:${GARBAGE}\n\0@h/d`)
    await run(['connect', 'postgres', `--secret=${'x'}`], GARBAGE)
    await run(['connect', 'jwt', '--secret-stdin'], GARBAGE)
  }

  async function tasks(): Promise<void> {
    const bin = broker.installed()
    expect((await exec(keep('plain'))).status).toBe(0)
    const nested = `${keep('outer')}; PATH="${bin}:$PATH" broker exec --isolation scrub --env staging -- sh -c '${keep('inner')}'`
    expect((await exec(nested)).status).toBe(0)
    expect((await exec(`${keep('failing')}; exit 3`)).status).toBe(3)
    expect((await exec(`${keep('killed')}; kill -9 $$`)).status).toBe(137)
    expect(
      (await exec(`${keep('long')}`, '--reason', 'a look', '--until-ttl', '--ttl', '1h')).status,
    ).toBe(0)
    expect((await exec('true', '--dry-run')).status).toBe(0)
    expect((await run(['exec', '--env', 'staging', '--', 'no-such-command'])).status).toBe(127)
    expect((await run(['exec', '--env', 'nowhere', '--', 'true'])).status).toBe(125)
    // A task that shows its own is heard by whoever runs it; the broker adds nothing to that.
    const wrong = await exec(`${keep('psql')}; psql -X -c 'select nonsense'`)
    expect(wrong.status).toBe(1)
  }

  async function looks(): Promise<void> {
    const { leases } = await broker.json<{ leases: { id: string }[] }>(['tokens', '--all'])
    const commands = [
      ['tokens'],
      ['tokens', '--json'],
      ['tokens', '--all', '--json'],
      ['audit', 'list', '--json'],
      ['audit', 'show', leases[0]?.id ?? ''],
      ['audit', 'show', leases.at(-1)?.id ?? '', '--json'],
      ['audit', 'verify', '--json'],
      ['connections', '--json'],
      ['doctor', '--json'],
      ['template', 'show', 'staging-dev', '--json'],
      ['daemon', 'logs'],
      ['daemon', 'status', '--json'],
      ['jwks'],
    ]
    for (const command of commands) await run(command)
  }

  async function rotation(): Promise<void> {
    await setPassword(NEXT_ADMIN)
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'root_admin'`,
    )
    expect((await exec('true')).status).toBe(125)
    expect((await run(['revoke', '--all'])).status).toBe(6)
    expect((await run(CONNECT, url(NEXT_ADMIN))).status).toBe(0)
    await until('all is revoked', async () => {
      return (await broker.json<{ leases: unknown[] }>(['tokens'])).leases.length === 0
    })
  }

  async function outage(): Promise<void> {
    await server.stop()
    expect((await exec('true')).status).toBe(125)
    await server.start()
    expect((await exec(keep('after'))).status).toBe(0)
  }

  async function crash(): Promise<void> {
    const task = broker.spawn(
      ['exec', '--env', 'staging', '--', 'sh', '-c', `${keep('crash')}; exec sleep 600`],
      { stdio: ['ignore', 'pipe', 'pipe'], env: ENV },
    )
    const ended = collect(task)
    await until('the task runs', () => existsSync(join(given, 'crash')))
    const first = broker.daemon()
    process.kill(first, 'SIGABRT')
    await until('another serves', () => broker.daemons().some((pid) => pid !== first))
    await run(['revoke', '--all'])
    task.kill('SIGTERM')
    const result = await ended
    output.push(result.out, result.err)
  }

  function sample(): void {
    for (const pid of pids()) {
      const line = proc(pid, 'cmdline')
      if (line) commandLines.add(line)
    }
    for (const pid of broker.daemons()) daemonEnvironments.add(proc(pid, 'environ'))
  }

  /** What the tasks got, read from what their children wrote down. */
  function minted(): Map<string, string> {
    const found = new Map<string, string>()
    for (const file of readdirSync(given)) {
      for (const line of readFileSync(join(given, file), 'utf8').split('\0')) {
        const [name = '', ...value] = line.split('=')
        if (!/^(PGPASSWORD|BROKER_ACCESS_TOKEN|BROKER_HANDLE)$/.test(name)) continue
        found.set(`${name} of the task "${file}"`, value.join('='))
      }
    }
    return found
  }

  const everything = () => new Map([...secrets, ...minted()])

  /** Which secrets are in there, in any of the forms that they could have. */
  function hits(text: string | Buffer): string[] {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text
    return [...everything()]
      .filter(([, secret]) => formsOf(secret).some((form) => bytes.includes(form)))
      .map(([name]) => name)
  }

  function files(folder: string): string[] {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  }

  it('would be found in every form: the search works', () => {
    expect(minted().size).toBe(3 * 9)
    for (const [name, secret] of everything()) {
      const wrapped = `{"a":"${secret}"}`
      for (const form of [
        secret,
        encodeURIComponent(secret),
        JSON.stringify(secret),
        Buffer.from(secret).toString('hex'),
        Buffer.from(wrapped).toString('base64'),
        Buffer.from(`x${wrapped}`).toString('base64url'),
        Buffer.from(`xx${wrapped}`).toString('base64'),
      ]) {
        expect(hits(`before ${form} after`)).toContain(name)
      }
    }
    // Where they do belong they are found, so the forms are those that programs write.
    expect(hits(readFileSync(join(given, 'plain')))).toHaveLength(3)
  })

  it('no file of the broker holds one: database, write-ahead log, vault, logs; and no core file is left', () => {
    const all = files(broker.folder)
    expect(all.map((path) => path.split('/').at(-1))).toEqual(
      expect.arrayContaining(['broker.sqlite', 'daemon.log', 'operator.key', 'broker.yaml']),
    )
    expect(all.some((path) => /vault/.test(path))).toBe(true)
    // Of the daemon that crashed there is no core file, though whoever started it allows them.
    expect(all.filter((path) => /\/core(?:\.|$)/.test(path))).toEqual([])
    expect(
      all.map((path) => [path, hits(readFileSync(path))]).filter(([, it]) => it?.length),
    ).toEqual([])
  })

  it('no command printed one', () => {
    expect(output.join('').length).toBeGreaterThan(10_000)
    expect(output.filter((text) => hits(text).length > 0)).toEqual([])
  })

  it('no process had one among its arguments', () => {
    const seen = [...commandLines]
    expect(seen.some((line) => line.includes('daemon/main.js'))).toBe(true)
    expect(seen.some((line) => line.includes('--secret-stdin'))).toBe(true)
    expect(seen.filter((line) => hits(Buffer.from(line, 'latin1')).length > 0)).toEqual([])
  })

  it('no daemon had one in its environment', () => {
    expect(daemonEnvironments.size).toBeGreaterThan(0)
    for (const text of daemonEnvironments) expect(hits(Buffer.from(text, 'latin1'))).toEqual([])
  })

  it('the database server logged none of the minted ones, though it logs every statement', () => {
    const log = server.log()
    expect(log).toContain('CREATE ROLE "broker_')
    expect(hits(log)).toEqual([])
  })
})

/** A secret as it is, and as programs write it: percent, JSON, base 64 at each of the three offsets, hex. */
function formsOf(secret: string): Buffer[] {
  const known = FORMS.get(secret)
  if (known) return known
  const bytes = Buffer.from(secret)
  const shifted = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    // The first and last characters hang on what stands beside it.
    return text.slice(offset === 0 ? 0 : offset + 1, -4)
  })
  const json = JSON.stringify(secret).slice(1, -1)
  const forms = [
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ a: secret }).toString().slice(2),
    json,
    json.replaceAll('/', '\\/'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...shifted,
    ...shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ].flatMap((form) => [Buffer.from(form), Buffer.from(form, 'latin1')])
  forms.push(Buffer.from(secret, 'utf16le')) // as JavaScript keeps it in memory, with an é in it
  FORMS.set(secret, forms)
  return forms
}

const FORMS = new Map<string, Buffer[]>()
