import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  BIN,
  environment,
  failing,
  freshHome,
  PACKAGE,
  runBroker,
  scriptedDaemon,
} from './commands-product.ts'
import { grant, LEASE_ID, lease } from './commands-samples.ts'

let home: ReturnType<typeof freshHome>
let daemon: Awaited<ReturnType<typeof scriptedDaemon>> | undefined

beforeEach(() => {
  home = freshHome()
})
afterEach(async () => {
  await daemon?.close()
  daemon = undefined
  home.remove()
})

const serve = async (script: Parameters<typeof scriptedDaemon>[1]) => {
  daemon = await scriptedDaemon(home.path, script)
  return daemon
}
const broker = (args: readonly string[], options: Partial<Parameters<typeof runBroker>[1]> = {}) =>
  runBroker(args, { home: home.path, ...options })

const ESCAPE = '\u001b'

describe('wrong use ends with 2, one line and a hint, before any daemon is asked', () => {
  const cases = [
    {
      args: ['--env', 'x', 'exec'],
      says: 'the command has to come first',
      hint: 'broker tokens --json',
    },
    {
      args: ['template', 'nosuch'],
      says: 'unknown command "template nosuch"',
      hint: 'broker help lists',
    },
    {
      args: ['templat', 'check'],
      says: 'unknown command "templat"',
      hint: '"broker template check"',
    },
    { args: ['tokns'], says: 'unknown command "tokns"', hint: 'did you mean "broker tokens"?' },
    {
      args: ['template', 'chekc', 'f'],
      says: 'unknown command "template chekc"',
      hint: '"broker template check"',
    },
    { args: ['help', 'nosuch'], says: 'unknown command "nosuch"', hint: 'broker help lists' },
    { args: ['tokens', '--al'], says: 'unknown flag "--al"', hint: 'did you mean "--all"?' },
    { args: ['tokens', '--env'], says: 'flag "--env" needs a value', hint: 'broker tokens --help' },
    { args: ['tokens', 'extra'], says: '"tokens" takes no argument', hint: '--help' },
    { args: ['connect'], says: 'argument "PROVIDER" is missing', hint: 'broker connect --help' },
    { args: ['disconnect'], says: 'argument "NAME" is missing', hint: 'broker disconnect --help' },
    { args: ['revoke'], says: 'nothing says which leases to revoke', hint: '--env' },
    { args: ['revoke', '--all', '--env', 'x'], says: 'LEASE, --env and --all exclude', hint: 'or' },
    {
      args: ['revoke', 'lse_short'],
      says: '"lse_short" is not the id of a lease',
      hint: 'broker tokens',
    },
    {
      args: ['audit', 'list', '--since', 'soon'],
      says: '--since "soon" is not a duration',
      hint: '1h',
    },
    {
      args: ['connect', 'postgres', '--set', 'x'],
      says: '--set needs the form key=value',
      hint: '--set',
    },
    {
      args: ['connect', 'postgres', '--url', 'ftp://x'],
      says: '--url needs an address',
      hint: 'https',
    },
    { args: ['template', 'apply', 'f.yaml'], says: 'nobody can be asked', hint: '--yes' },
  ]
  test.each(cases)('broker $args', async ({ args, says, hint }) => {
    const { code, stdout, stderr } = await broker(args)
    expect(stderr).toContain(`broker: ${says}`)
    expect(stderr).toMatch(/^broker: [^\n]+\nhint: [^\n]+\n$/)
    expect(stderr.split('\n')[1]).toContain(hint)
    expect(stdout).toBe('')
    expect(code).toBe(2)
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })

  test('with --json the same error is one document on standard output', async () => {
    const { code, stdout, stderr } = await broker(['tokens', '--al', '--json'])
    expect(JSON.parse(stdout)).toEqual({
      error: {
        code: 'usage',
        message: 'unknown flag "--al"',
        hint: 'did you mean "--all"? see broker tokens --help',
        details: {},
      },
    })
    expect(stderr).toBe('')
    expect(code).toBe(2)
  })

  test.each(['connect', 'disconnect', 'revoke', 'template check', 'audit show'])(
    '%s never takes a missing argument from standard input',
    async (command) => {
      const { code, stdout, stderr } = await broker(command.split(' '), { input: 'canary-5f2e\n' })
      expect(stderr).toMatch(/is missing|nothing says which/)
      expect(stdout + stderr).not.toContain('canary')
      expect(code).toBe(2)
    },
  )

  const secrets = [
    ['connect', 'railway', 'main', 'canary-5f2e'],
    ['connect', 'railway', '--secret=canary-5f2e'],
    ['connect', 'railway', '--set', 'canary-5f2e'],
    ['connect', 'railway', '--url', 'https://user:canary-5f2e@example.com'],
    ['--token=canary-5f2e'],
  ]
  test.each(secrets)(
    'a secret in the wrong place is not repeated: %s %s %s %s',
    async (...args) => {
      const { code, stdout, stderr } = await broker(args)
      expect(stdout + stderr).not.toContain('canary')
      expect(code).toBe(2)
    },
  )
})

describe('files', () => {
  test.each(['check', 'diff'])('template %s of a missing file names it and fails', async (verb) => {
    const { code, stderr } = await broker(['template', verb, 'nosuch.yaml'])
    expect(stderr).toContain('broker: cannot read "nosuch.yaml": no such file')
    expect(code).toBe(1)
  })

  test('a missing certificate file is refused before anything is asked', async () => {
    const { code, stderr } = await broker(['connect', 'railway', '--ca-file', 'nosuch.pem'])
    expect(stderr).toContain('cannot read "nosuch.pem"')
    expect(code).toBe(1)
  })

  test('template init never overwrites', async () => {
    writeFileSync(join(home.path, 'broker.yaml'), 'mine')
    const { code, stderr } = await broker(['template', 'init'])
    expect(stderr).toContain('broker: "broker.yaml" exists already')
    expect(readFileSync(join(home.path, 'broker.yaml'), 'utf8')).toBe('mine')
    expect(code).toBe(1)
  })

  test('template init writes a file and says what is next', async () => {
    const { code, stdout } = await broker(['template', 'init', 'new.yaml'])
    expect(stdout).toContain('broker template apply new.yaml')
    expect(readFileSync(join(home.path, 'new.yaml'), 'utf8')).toContain('version: 1')
    expect(code).toBe(0)
  })
})

describe('without a daemon', () => {
  test('status says so, exits with 5 and starts none', async () => {
    const { code, stdout } = await broker(['daemon', 'status', '--json'])
    expect(JSON.parse(stdout)).toEqual({
      running: false,
      pid: null,
      version: null,
      socket: join(home.path, 'run/broker.sock'),
      home: home.path,
    })
    expect(code).toBe(5)
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })

  test('stop is done already and starts none', async () => {
    const { code, stdout } = await broker(['daemon', 'stop'])
    expect(stdout).toBe('not running\n')
    expect(code).toBe(0)
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })

  test('logs are empty, said on standard error', async () => {
    const { code, stdout, stderr } = await broker(['daemon', 'logs'])
    expect(stdout).toBe('')
    expect(stderr).toContain('no log yet')
    expect(code).toBe(0)
  })

  test('inside a task nothing is started: exit 5', async () => {
    const env = { BROKER_HANDLE: 'brk_handle', BROKER_SOCKET: join(home.path, 'gone.sock') }
    const { code, stderr } = await broker(['tokens'], { env })
    expect(stderr).toMatch(/^broker: nobody answers/)
    expect(code).toBe(5)
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })

  test('doctor still tells of this machine, names the problem and exits with 1', async () => {
    mkdirSync(join(home.path, 'state'), { mode: 0o700 })
    writeFileSync(join(home.path, 'run'), 'in the way')
    const { code, stdout } = await broker(['doctor', '--json'])
    const { sections } = JSON.parse(stdout)
    expect(sections.map(({ title }: { title: string }) => title)).toEqual([
      'this machine',
      'isolation',
      'daemon',
    ])
    expect(stdout).toContain('a process of the same user is not a boundary')
    expect(sections[2].findings[0].level).toBe('problem')
    expect(code).toBe(1)
  })
})

describe('a daemon that hangs', () => {
  test('is not called running', async () => {
    await serve({ health: () => new Promise(() => {}) })
    const { code, stderr } = await broker(['daemon', 'status'])
    expect(stderr).toContain('does not answer')
    expect(code).toBe(5)
  })
})

describe('what the daemon refuses is shown, with its exit code', () => {
  const codes = [
    { code: 'denied', exit: 3 },
    { code: 'quota_exceeded', exit: 3 },
    { code: 'approval_required', exit: 4 },
    { code: 'provider_failed', exit: 6 },
    { code: 'from_a_newer_daemon', exit: 1 },
  ]
  test.each(codes)('$code exits with $exit', async ({ code, exit }) => {
    await serve({ listConnections: () => failing(code, 'not for you', 'ask somebody') })
    const text = await broker(['connections'])
    expect(text.stderr).toBe('broker: not for you\nhint: ask somebody\n')
    expect(text.code).toBe(exit)
    const json = await broker(['connections', '--json'])
    expect(JSON.parse(json.stdout).error).toMatchObject({ code, message: 'not for you' })
    expect(json.stderr).toBe('')
    expect(json.code).toBe(exit)
  })

  test.each(['doctor', 'connections'])(
    'in a task %s acts with the handle alone and is denied',
    async (name) => {
      const denied = () => failing('denied', 'a task may not do this', 'ask a person', 403)
      const server = await serve({ doctor: denied, listConnections: denied })
      const socket = join(home.path, 'run/broker.sock')
      const { code, stderr } = await broker([name], {
        env: { BROKER_HANDLE: 'handle-of-the-lease', BROKER_SOCKET: socket },
      })
      expect(stderr).toBe('broker: a task may not do this\nhint: ask a person\n')
      expect(code).toBe(3)
      const asked = [...server.asked('doctor'), ...server.asked('listConnections')]
      expect(asked.map(({ bearer }) => bearer)).toEqual(['Bearer handle-of-the-lease'])
    },
  )

  test('disconnect says how to end the leases in the way', async () => {
    await serve({ disconnect: () => failing('conflict', '"pg" has 2 live leases', 'wait', 409) })
    const { code, stderr } = await broker(['disconnect', 'pg'])
    expect(stderr).toContain('broker: "pg" has 2 live leases')
    expect(stderr).toContain('broker revoke LEASE')
    expect(code).toBe(1)
  })

  test('an error message cannot move the cursor', async () => {
    await serve({ listConnections: () => failing('denied', `no\u001b[2J\u202emore\nlines`) })
    const { stderr } = await broker(['connections'])
    expect(stderr).toBe('broker: no\\u001b[2J\\u202emore\\u000alines\nhint: try something else\n')
  })
})

describe('tokens', () => {
  const stuck = lease({
    id: 'lse_01k9x2m4v7e8r5t6y7n8p9q0b2',
    state: 'stuck',
    actor: { command: `evil${ESCAPE}[2J`, pid: 1 },
    grants: [
      grant({
        state: 'stuck',
        lastError: 'server is down',
        possiblyLiveUntil: '2999-01-01T00:00:00.000Z',
      }),
    ],
  })

  test.each([
    [[], 'no leases yet\n'],
    [['--env', 'nosuch'], 'no leases of that environment yet\n'],
  ] as const)('--all of nothing names no environment: %j', async (flags, says) => {
    await serve({ listLeases: () => ({ body: { leases: [], nextCursor: null } }) })
    const { stdout, stderr } = await broker(['tokens', '--all', ...flags])
    expect(stdout).toBe('')
    expect(stderr).toContain(says)
    expect(stderr).not.toMatch(/live|staging|nosuch/)
  })

  test('an empty list leaves a pipe empty and says on standard error how to get one', async () => {
    await serve({ listLeases: () => ({ body: { leases: [], nextCursor: null } }) })
    const text = await broker(['tokens'])
    expect(text.stdout).toBe('')
    expect(text.stderr).toContain('no live tokens\nbroker exec --env staging -- COMMAND')
    const json = await broker(['tokens', '--json'])
    expect(JSON.parse(json.stdout)).toEqual({ leases: [] })
    expect(json.stderr).toBe('')
  })

  test('text and JSON tell the same; a pipe gets a line a lease, without escapes', async () => {
    const leases = [lease(), stuck]
    await serve({ listLeases: () => ({ body: { leases, nextCursor: null } }) })
    const text = await broker(['tokens'])
    const lines = text.stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[0]?.split('\t').slice(0, 6)).toEqual([
      LEASE_ID,
      'active',
      'staging',
      'staging-dev v3',
      'alice',
      'cursor',
    ])
    expect(lines[1]).toContain('db possibly live until 2999-01-01')
    expect(lines[1]).toContain('db stuck, still retried: server is down')
    expect(text.stdout).not.toContain(ESCAPE)
    expect(text.stdout).toContain('evil\\u001b[2J')
    const json = await broker(['tokens', '--json'])
    expect(JSON.parse(json.stdout)).toEqual({ leases })
    expect(json.stdout).not.toContain(ESCAPE)
  })

  test('every page is fetched, with the flags that were given', async () => {
    const server = await serve({
      listLeases: ({ url }) => {
        const cursor = new URL(url, 'http://broker').searchParams.get('cursor')
        const body =
          cursor === null
            ? { leases: [lease()], nextCursor: 'two' }
            : { leases: [stuck], nextCursor: null }
        return { body }
      },
    })
    const { stdout } = await broker(['tokens', '--all', '--env', 'staging', '--json'])
    expect(JSON.parse(stdout).leases).toHaveLength(2)
    const queries = server
      .asked('listLeases')
      .map(({ url }) => new URL(url, 'http://b').searchParams)
    expect(queries.map((query) => query.get('state'))).toEqual(['all', 'all'])
    expect(queries.map((query) => query.get('environment'))).toEqual(['staging', 'staging'])
    expect(queries[1]?.get('cursor')).toBe('two')
  })

  test('--watch into a pipe writes a line for each change and ends on SIGINT with 0', async () => {
    let round = 0
    await serve({
      listLeases: () => ({ body: { leases: round++ === 0 ? [lease()] : [], nextCursor: null } }),
      showLease: () => {
        process.kill(watcher.pid ?? 0, 'SIGINT')
        return {
          body: lease({
            state: 'revoked',
            endedAt: '2026-01-01T00:01:00.000Z',
            endReason: 'task_ended',
          }),
        }
      },
    })
    const watcher = spawn(process.execPath, [BIN, 'tokens', '--watch'], {
      env: environment(home.path),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let out = ''
    watcher.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    const code = await new Promise((resolve) => watcher.once('close', resolve))
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[2]),
    ).toEqual(['active', 'revoked'])
    expect(code).toBe(0)
  })
})

describe('revoke', () => {
  const ended = lease({
    state: 'revoked',
    endedAt: '2026-01-01T00:01:00.000Z',
    endReason: 'revoked_by_operator',
  })
  const pending = lease({
    state: 'revoking',
    grants: [grant({ state: 'revoking', lastError: 'timeout' })],
  })

  test('exits with 6 and says why when a lease is not ended yet', async () => {
    await serve({ revokeLeases: () => ({ body: { leases: [ended, pending] } }) })
    const { code, stdout } = await broker(['revoke', '--all'])
    expect(stdout).toBe(`${LEASE_ID} revoked\n${LEASE_ID} still revoking · db revoking: timeout\n`)
    expect(code).toBe(6)
    const json = await broker(['revoke', '--all', '--json'])
    expect(JSON.parse(json.stdout)).toEqual({ leases: [ended, pending] })
    expect(json.code).toBe(6)
  })

  const ways = [
    { args: [LEASE_ID, LEASE_ID, '--reason', 'done'], body: { ids: [LEASE_ID], reason: 'done' } },
    { args: ['--env', 'staging'], body: { environment: 'staging' } },
    { args: ['--all'], body: { all: true } },
  ]
  test.each(ways)('revoke $args sends $body, without asking', async ({ args, body }) => {
    const server = await serve({ revokeLeases: () => ({ body: { leases: [ended] } }) })
    const { code } = await broker(['revoke', ...args])
    expect(server.asked('revokeLeases')[0]?.body).toEqual(body)
    expect(code).toBe(0)
  })
})

describe('connect', () => {
  const providers = [
    {
      name: 'postgres',
      mode: 'native',
      capability: 'named',
      secretPrompt: 'connection URL of an admin role',
      operations: [],
    },
    { name: 'jwt', mode: 'native', capability: 'phantom', secretPrompt: null, operations: [] },
  ]
  const connection = {
    name: 'pg',
    provider: 'postgres',
    settings: {},
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    liveLeases: 0,
  }
  const findings = [{ level: 'warning', message: 'is a superuser', hint: 'make a narrower role' }]
  const narrowness = [
    {
      title: 'dev · staging · db',
      findings: [{ level: 'ok', message: 'the provider enforces: one database', hint: null }],
    },
  ]
  const script = {
    listProviders: () => ({ body: { providers } }),
    listConnections: () => ({ body: { connections: [] } }),
    connect: () => ({ status: 201, body: { connection, findings, narrowness, replaced: false } }),
  }

  test('refuses to guess where the secret comes from', async () => {
    const server = await serve(script)
    const { code, stderr } = await broker(['connect', 'postgres'], { input: 'canary-5f2e' })
    expect(stderr).toContain('standard input is no terminal')
    expect(stderr).toContain('--secret-stdin')
    expect(code).toBe(2)
    expect(server.asked('connect')).toEqual([])
  })

  test('refuses an empty secret and one that is not text', async () => {
    const server = await serve(script)
    const empty = await broker(['connect', 'postgres', '--secret-stdin'], { input: '\n' })
    expect(empty.stderr).toContain('the secret on standard input is empty')
    expect(empty.code).toBe(2)
    const binary = await broker(['connect', 'postgres', '--secret-stdin'], {
      input: Buffer.from([0xff, 0xfe]),
    })
    expect(binary.stderr).toContain('"standard input" is not UTF-8 text')
    expect(binary.code).toBe(2)
    expect(server.asked('connect')).toEqual([])
  })

  test('an unknown provider gets the nearest name', async () => {
    await serve(script)
    const { code, stderr } = await broker(['connect', 'postgre', '--secret-stdin'], { input: 'x' })
    expect(stderr).toBe('broker: provider "postgre" is unknown\nhint: did you mean "postgres"?\n')
    expect(code).toBe(2)
  })

  test('cuts one newline, sends the settings, prints what the credential can do', async () => {
    const server = await serve(script)
    const ca = new X509Certificate(rootCertificates[0] ?? '').toString()
    writeFileSync(join(home.path, 'ca.pem'), `${ca}canary-5f2e\n`)
    const args = [
      'connect',
      'postgres',
      'pg',
      '--set',
      'a=b=c',
      '--url',
      'https://x.example',
      '--ca-file',
      'ca.pem',
      '--secret-stdin',
      '--no-check',
    ]
    const { code, stdout, stderr } = await broker(args, { input: 'canary-5f2e\n\n' })
    expect(server.asked('connect')[0]?.body).toEqual({
      provider: 'postgres',
      name: 'pg',
      secret: 'canary-5f2e\n',
      settings: { a: 'b=c', url: 'https://x.example', caFile: join(home.path, 'ca.pem'), ca },
      check: false,
    })
    expect(stdout).toBe(
      [
        'connected pg (postgres)',
        '  warning  is a superuser',
        '           hint: make a narrower role',
        '',
        'dev · staging · db',
        '  ok       the provider enforces: one database',
        '',
      ].join('\n'),
    )
    expect(stdout + stderr).not.toContain('canary')
    expect(code).toBe(0)
  })

  test('without a name the provider is the name, and the secret is the secret', async () => {
    const server = await serve(script)
    await broker(['connect', 'postgres', '--secret-stdin'], { input: 'canary-5f2e' })
    expect(server.asked('connect')[0]?.body).toMatchObject({
      name: 'postgres',
      secret: 'canary-5f2e',
    })
  })

  test('a provider without a secret is not asked for one', async () => {
    const server = await serve(script)
    const { code } = await broker(['connect', 'jwt'])
    expect(server.asked('connect')[0]?.body).toEqual({
      provider: 'jwt',
      name: 'jwt',
      settings: {},
      check: true,
    })
    expect(code).toBe(0)
  })
})

describe('a locked vault', () => {
  const locked = failing('vault_locked', 'the vault is locked', 'unlock it', 503)

  test('without a terminal or a passphrase it is an error that names both', async () => {
    const server = await serve({ listConnections: () => locked })
    const { code, stderr } = await broker(['connections'])
    expect(stderr).toContain('broker: the vault is locked')
    expect(stderr).toContain('BROKER_VAULT_PASSPHRASE')
    expect(code).toBe(1)
    expect(server.asked('unlockVault')).toEqual([])
  })

  test('BROKER_VAULT_PASSPHRASE opens it and the request is made once more', async () => {
    let open = false
    const server = await serve({
      listConnections: () => (open ? { body: { connections: [] } } : locked),
      unlockVault: () => {
        open = true
        return { body: {} }
      },
    })
    const env = { BROKER_VAULT_PASSPHRASE: 'canary-5f2e' }
    const { code, stdout, stderr } = await broker(['connections', '--json'], { env })
    expect(server.asked('unlockVault')[0]?.body).toEqual({ passphrase: 'canary-5f2e' })
    expect(JSON.parse(stdout)).toEqual({ connections: [] })
    expect(stdout + stderr).not.toContain('canary')
    expect(code).toBe(0)
  })

  test('it is tried once, not for ever', async () => {
    const server = await serve({ listConnections: () => locked, unlockVault: () => ({ body: {} }) })
    const { code } = await broker(['connections'], { env: { BROKER_VAULT_PASSPHRASE: 'x' } })
    expect(server.asked('listConnections')).toHaveLength(2)
    expect(code).toBe(1)
  })
})

describe('template', () => {
  const issues = [
    {
      severity: 'error',
      message: 'unknown key "grnats"',
      line: 12,
      column: 5,
      path: 'templates.x.grnats',
      suggestion: 'grants',
    },
    {
      severity: 'warning',
      message: 'connection "pg" is not stored yet',
      line: 3,
      column: 7,
      path: 'environments.s',
      suggestion: null,
    },
  ]
  const changes = [
    { effect: 'neutral', message: 'template x: description' },
    { effect: 'narrows', message: 'template x: db may not INSERT any more' },
    { effect: 'widens', message: 'template x: db may now DELETE' },
  ]
  const bad = { ok: false, issues, changes: [], baseVersion: 4 }
  const good = { ok: true, issues: [], changes, baseVersion: 4 }

  test('check prints file, line, column and the nearest name, and exits with 1', async () => {
    writeFileSync(join(home.path, 'broker.yaml'), 'x')
    await serve({ checkTemplates: () => ({ body: bad }) })
    const { code, stdout } = await broker(['template', 'check', 'broker.yaml'])
    expect(stdout).toBe(
      'broker.yaml:12:5: error: unknown key "grnats" (did you mean "grants"?)\n' +
        'broker.yaml:3:7: warning: connection "pg" is not stored yet\n',
    )
    expect(code).toBe(1)
    const json = await broker(['template', 'check', 'broker.yaml', '--json'])
    expect(JSON.parse(json.stdout)).toEqual(bad)
    expect(json.code).toBe(1)
  })

  test('check reads standard input for -', async () => {
    const server = await serve({ checkTemplates: () => ({ body: good }) })
    const { code, stdout } = await broker(['template', 'check', '-'], { input: 'version: 1\n' })
    expect(server.asked('checkTemplates')[0]?.body).toEqual({ text: 'version: 1\n' })
    expect(stdout).toBe('<stdin>: ok, 3 changes\n')
    expect(code).toBe(0)
  })

  test('apply of a file with errors applies nothing', async () => {
    const server = await serve({ checkTemplates: () => ({ body: bad }) })
    const { code, stdout, stderr } = await broker(['template', 'apply', '-', '--yes'], {
      input: 'x',
    })
    expect(stderr).toContain('<stdin>:12:5: error: unknown key "grnats"')
    expect(stderr).toContain('broker: "-" has 1 error')
    expect(stdout).toBe('')
    expect(code).toBe(1)
    expect(server.asked('applyTemplates')).toEqual([])
  })

  test('apply shows what widens first and sends the version that was compared with', async () => {
    const applied = { version: 5, changes, issues: [] }
    const server = await serve({
      checkTemplates: () => ({ body: good }),
      applyTemplates: () => ({ body: applied }),
    })
    const { code, stdout, stderr } = await broker(['template', 'apply', '-', '--yes'], {
      input: 'x',
    })
    expect(stderr).toBe(
      '+ template x: db may now DELETE\n− template x: db may not INSERT any more\n· template x: description\n',
    )
    expect(stdout).toBe('applied as version 5, 3 changes\n')
    expect(server.asked('applyTemplates')[0]?.body).toEqual({ text: 'x', baseVersion: 4 })
    expect(code).toBe(0)
    const json = await broker(['template', 'apply', '-', '--yes', '--json'], { input: 'x' })
    expect(JSON.parse(json.stdout)).toEqual(applied)
    expect(json.stderr).toBe('')
  })
})

describe('audit', () => {
  test('verify names the first bad entry and exits with 1', async () => {
    const bad = {
      ok: false,
      entries: 17,
      head: null,
      bad: { seq: 17, problem: 'edited', message: 'its hash does not fit' },
    }
    await serve({ verifyAudit: () => ({ body: bad }) })
    const { code, stdout } = await broker(['audit', 'verify'])
    expect(stdout).toBe('broken at entry 17 (edited): its hash does not fit\n')
    expect(code).toBe(1)
    const json = await broker(['audit', 'verify', '--json'])
    expect(JSON.parse(json.stdout)).toEqual(bad)
    expect(json.code).toBe(1)
  })

  test('list sends an instant for --since and prints a line an entry', async () => {
    const entries = [
      {
        seq: 1,
        at: '2026-01-01T00:00:00.000Z',
        type: 'lease.issued',
        lease: LEASE_ID,
        data: { environment: 'staging', by: { id: `a${ESCAPE}b` } },
        hash: 'h',
      },
    ]
    const server = await serve({ listAudit: () => ({ body: { entries, nextCursor: null } }) })
    const { code, stdout } = await broker(['audit', 'list', '--since', '1h'])
    expect(stdout).toBe(
      `1\t2026-01-01T00:00:00.000Z\tlease.issued\t${LEASE_ID}\tenvironment=staging by.id=a\\u001bb\n`,
    )
    const since = new URL(server.asked('listAudit')[0]?.url ?? '', 'http://b').searchParams.get(
      'since',
    )
    expect(Math.abs(Date.now() - 3_600_000 - Date.parse(since ?? ''))).toBeLessThan(60_000)
    expect(code).toBe(0)
    const json = await broker(['audit', 'list', '--json'])
    expect(JSON.parse(json.stdout)).toEqual({ entries })
  })
})

describe('output', () => {
  test('a reader that has seen enough ends it quietly, with 0', async () => {
    const leases = Array.from({ length: 150 }, () => lease())
    await serve({ listLeases: () => ({ body: { leases, nextCursor: 'more' } }) })
    const command = `"${process.execPath}" "${BIN}" tokens --json | head -1; echo "\${PIPESTATUS[0]}"`
    const result = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) =>
      execFile('bash', ['-c', command], { env: environment(home.path) }, (error, stdout, stderr) =>
        error ? reject(error) : resolve({ stdout, stderr }),
      ),
    )
    expect(result.stdout).toBe('{"leases":[\n0\n')
    expect(result.stderr).toBe('')
  })

  test('a full disk under standard output is a failure, without a stack', async () => {
    const command = `"${process.execPath}" "${BIN}" daemon status --json > /dev/full; echo $?`
    const shown = await new Promise<string>((resolve) =>
      execFile(
        'bash',
        ['-c', `${command} 2>&1`],
        { env: environment(home.path) },
        (_, stdout, stderr) => resolve(stdout + stderr),
      ),
    )
    expect(shown).toMatch(/^1\nbroker: unexpected error \(ENOSPC\)\nhint: [^\n]+\n$/)
  })

  test('--version, an overview and help of every kind end with 0', async () => {
    expect(await broker(['--version'])).toMatchObject({ code: 0, stderr: '' })
    expect((await broker([])).stdout).toContain('broker exec --env staging -- COMMAND')
    const help = await broker(['help'])
    expect(help.stdout).toContain('tokens')
    expect(help.code).toBe(0)
    const same = await Promise.all(
      [
        ['help', 'template', 'check'],
        ['template', 'check', '--help'],
        ['template', 'check', '-h'],
      ].map((args) => broker(args)),
    )
    expect(same[0]?.stdout).toContain('broker template check broker.yaml')
    expect(new Set(same.map(({ stdout }) => stdout)).size).toBe(1)
    expect((await broker(['template'])).stdout).toContain('template apply')
  })
})

interface Described {
  readonly summary?: string
  readonly examples?: readonly string[]
  readonly flags: Readonly<
    Record<string, { readonly description?: string; readonly summary?: string }>
  >
  readonly args: Readonly<Record<string, { readonly description?: string }>>
}

describe('every command', () => {
  const manifest = JSON.parse(readFileSync(join(PACKAGE, 'oclif.manifest.json'), 'utf8'))
  const commands = Object.entries(manifest.commands as Record<string, Described>)

  test('is there', () => {
    expect(commands.map(([id]) => id)).toEqual([
      'approvals',
      'approve',
      'audit:list',
      'audit:show',
      'audit:verify',
      'connect',
      'connections',
      'daemon:logs',
      'daemon:run',
      'daemon:start',
      'daemon:status',
      'daemon:stop',
      'demo',
      'deny',
      'disconnect',
      'doctor',
      'exec',
      'jwks',
      'revoke',
      'serve',
      'template:apply',
      'template:check',
      'template:diff',
      'template:init',
      'template:list',
      'template:show',
      'template:test',
      'token',
      'tokens',
    ])
  })

  test.each(commands)('%s has a summary, an example, and words for each flag', (id, command) => {
    expect(command.summary).toMatch(/^[A-Z].*[^.]$/)
    expect(command.examples?.length).toBeGreaterThan(0)
    for (const example of command.examples ?? []) {
      expect(example).toContain(`broker ${id.replaceAll(':', ' ')}`)
    }
    const named = [...Object.entries(command.flags), ...Object.entries(command.args)]
    for (const [name, words] of named) {
      expect('summary' in words ? words.summary : words.description, name).toMatch(/\S/)
    }
    expect('json' in command.flags).toBe(!['exec', 'daemon:run', 'serve'].includes(id))
    for (const name of Object.keys(command.flags)) {
      expect(name).not.toMatch(/^(?:secret|token|password|passphrase|key|operator-key)$/)
    }
  })

  test('that makes sense at a server takes --server, and no other', () => {
    const far = commands.filter(([, { flags }]) => 'server' in flags).map(([id]) => id)
    const audit = ['audit:list', 'audit:show', 'audit:verify']
    const template = ['apply', 'check', 'diff', 'list', 'show', 'test'].map(
      (id) => `template:${id}`,
    )
    expect(far).toEqual(
      ['approvals', 'approve', ...audit, 'deny', 'exec', 'jwks', 'revoke', ...template].concat([
        'token',
        'tokens',
      ]),
    )
  })
})
