import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/lib/secret.ts'
import type { Connection } from '../../src/providers/provider.ts'
import { type Postgres, postgresMissing, startPostgres } from '../fixtures/postgres.ts'
import { type Ground, layGround } from './postgres-bench.ts'

describe.skipIf(postgresMissing())('over TLS', () => {
  let server: Postgres
  let ground: Ground
  let folder: string
  let ca: string
  let stranger: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'broker-tls-'))
    ca = certificate('server')
    stranger = certificate('stranger')
    server = await startPostgres()
    ground = await layGround(server, 'an admin that is no superuser')
  })
  afterAll(async () => {
    await ground?.dispose()
    await server?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  function certificate(name: string): string {
    const path = join(folder, `${name}.crt`)
    const key = join(folder, `${name}.key`)
    const flags =
      '-x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=db -addext subjectAltName=IP:127.0.0.1'
    execFileSync('openssl', ['req', ...flags.split(' '), '-keyout', key, '-out', path], {
      stdio: 'ignore',
    })
    return path
  }

  function withQuery(query: string): Connection {
    const url = ground.connection.secret?.reveal() ?? ''
    return { ...ground.connection, secret: new Secret(`${url}?${query}`) }
  }

  const check = (connection: Connection) => ground.provider.check?.(connection, ground.world())

  it('refuses a server that offers none, when it was asked for', async () => {
    await expect(check(withQuery('sslmode=require'))).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'the server of "pg-staging" offers no TLS',
    })
  })

  it('refuses a server whose certificate is not of the given root', async () => {
    await startTls()
    for (const mode of ['verify-full', 'verify-ca', 'require']) {
      const query = `sslmode=${mode}&sslrootcert=${encodeURIComponent(stranger)}`
      await expect(check(withQuery(query)), mode).rejects.toMatchObject({
        code: 'provider_failed',
        message: 'the server of "pg-staging" did not prove who it is',
      })
    }
  })

  it('goes on trusting the certificates of --ca-file that were stored, not what the file holds now', async () => {
    await startTls()
    const path = join(folder, 'ca-file.pem')
    const given = (text: string): Connection => ({
      ...ground.connection,
      settings: { caFile: path },
      ca: text,
    })
    const [right, wrong] = [readFileSync(ca, 'utf8'), readFileSync(stranger, 'utf8')]
    writeFileSync(path, right)
    await expect(check(given(wrong))).rejects.toMatchObject({
      message: 'the server of "pg-staging" did not prove who it is',
    })
    writeFileSync(path, wrong)
    const findings = await check(given(right))
    expect(findings?.filter(({ message }) => /certificate is not checked/.test(message))).toEqual(
      [],
    )
    rmSync(path)
    expect(await check(given(right))).toBeDefined()
  })

  it('accepts the right one, and hands its rules on to the child', async () => {
    await startTls()
    const connection = withQuery(`sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`)
    expect(await check(connection)).toBeDefined()
    const request = {
      lease: `lse_${'1'.repeat(26)}` as const,
      grant: 'db',
      environment: 'staging',
      operations: ['SELECT'],
      target: ground.provider.parseTarget({}),
      notAfter: Date.now() + 60_000,
      principal: 'alice',
    }
    const recipe = ground.provider.plan(request, ground.installId, connection)
    const minted = await ground.provider.mint(request, recipe, connection, ground.world())
    const secure = execFileSync(
      'psql',
      ['-Atc', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'],
      {
        env: { PATH: process.env['PATH'], ...minted.variables.reveal() },
        encoding: 'utf8',
      },
    )
    expect(secure).toBe('t\n')
    await ground.provider.revoke(recipe, minted.handle, connection, ground.world())
    expect(await ground.leftovers()).toEqual([])
  })

  let started = false
  async function startTls(): Promise<void> {
    if (started) return
    started = true
    const { uid, gid } = statSync(join(server.folder, 'data'))
    for (const name of ['server.crt', 'server.key']) {
      const target = join(server.folder, 'data', name)
      copyFileSync(join(folder, name), target)
      chownSync(target, uid, gid)
      chmodSync(target, 0o600)
    }
    await server.query('ALTER SYSTEM SET ssl = on')
    await server.stop()
    await server.start()
  }
})
