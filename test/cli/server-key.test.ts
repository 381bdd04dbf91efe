import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { freshHome, type Ran, runBroker } from './commands-product.ts'
import { hasTerminal, Terminal } from './commands-terminal.ts'
import { HANDLE, OPERATOR_KEY, refusing, type Script, ScriptedServer } from './server-scripted.ts'

let home: ReturnType<typeof freshHome>
let server: ScriptedServer

const LISTING: Script = { listLeases: () => ({ body: { leases: [], nextCursor: null } }) }

beforeEach(async () => {
  home = freshHome()
  server = await ScriptedServer.open(LISTING)
  writeFileSync(join(home.path, 'ca.pem'), server.ca)
  writeFileSync(join(home.path, 'key'), `${OPERATOR_KEY}\n`, { mode: 0o600 })
})
afterEach(async () => {
  await server.close()
  home.remove()
})

const caFile = () => join(home.path, 'ca.pem')
const keyFile = () => join(home.path, 'key')
const broker = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  rest: { readonly input?: string } = {},
) => runBroker(args, { home: home.path, env: { BROKER_CA_FILE: caFile(), ...env }, ...rest })
const withKey = () => ({ BROKER_OPERATOR_KEY_FILE: keyFile() })

/** One line and a hint, and no secret in either. */
function expectRefusal(ran: Ran, code: number, says: string | RegExp, hint: string | RegExp) {
  const [line = '', tip = ''] = ran.stderr.split('\n')
  expect(line).toMatch(says)
  expect(line).toMatch(/^broker: [^\n]+$/)
  expect(tip).toMatch(/^hint: /)
  expect(tip).toMatch(hint)
  expect(ran.stdout).toBe('')
  expect(ran.stdout + ran.stderr).not.toContain('canary')
  expect(ran.code).toBe(code)
}

describe('the operator key', () => {
  test('that nothing names is asked for by a hint, and no request needs it in vain', async () => {
    const ran = await broker(['tokens', '--server', server.url])
    expectRefusal(
      ran,
      3,
      'wants the operator key, and nothing names it',
      'BROKER_OPERATOR_KEY_FILE',
    )
    expect(server.of('listLeases')).toEqual([])
  })

  test('is not taken from standard input or from the local home', async () => {
    const ran = await broker(['tokens', '--server', server.url], {}, { input: `${OPERATOR_KEY}\n` })
    expectRefusal(ran, 3, 'nothing names it', 'BROKER_OPERATOR_KEY_FILE')
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })

  test('is no flag, and one given as a flag is not repeated', async () => {
    for (const flag of ['--key', '--operator-key', '--token']) {
      const ran = await broker(['tokens', '--server', server.url, `${flag}=${OPERATOR_KEY}`])
      expectRefusal(ran, 2, `unknown flag "${flag}"`, /./)
    }
  })

  test.each([0o644, 0o640, 0o604])('in a file of mode %o is refused', async (mode) => {
    const file = join(home.path, 'open')
    writeFileSync(file, OPERATOR_KEY, { mode })
    const env = { BROKER_OPERATOR_KEY_FILE: file }
    const ran = await broker(['tokens', '--server', server.url], env)
    expectRefusal(ran, 3, 'can be read by other users', 'chmod 600')
    expect(server.heard).not.toContain('canary')
  })

  test('in a file that is not there is an error, not a question', async () => {
    const env = { BROKER_OPERATOR_KEY_FILE: join(home.path, 'nosuch') }
    const ran = await broker(['tokens', '--server', server.url], env)
    expectRefusal(ran, 3, /nosuch" cannot be read \(ENOENT\)/, 'BROKER_OPERATOR_KEY_FILE')
  })

  test.each(['ghp_canary0123456789012345678901234567', HANDLE, `${OPERATOR_KEY} ${OPERATOR_KEY}`])(
    'is not sent when it is something else: %s',
    async (other) => {
      const ran = await broker(['tokens', '--server', server.url], { BROKER_OPERATOR_KEY: other })
      expectRefusal(ran, 2, '"BROKER_OPERATOR_KEY" is not an operator key', 'bko_')
      expect(server.heard).not.toContain('canary')
    },
  )

  test('that the server does not know is refused in words about this side', async () => {
    server.script = { listLeases: () => refusing(401, 'unauthorized', 'no', 'broker daemon') }
    const ran = await broker(['tokens', '--server', server.url], withKey())
    expectRefusal(ran, 3, 'refused the operator key', 'operator.key')
  })

  test.each(['broker', '*'])('is not in what DEBUG=%s tells', async (DEBUG) => {
    const env = { BROKER_OPERATOR_KEY: OPERATOR_KEY, DEBUG, NODE_DEBUG: '' }
    const wrong = { listLeases: () => refusing(401, 'unauthorized', 'no', 'x') }
    for (const script of [wrong, { listLeases: () => ({ status: 500, body: '<html>' }) }]) {
      server.script = script
      const ran = await broker(['tokens', '--server', server.url], env)
      expect(ran.stderr).toMatch(/BrokerError: /)
      expect(ran.stdout + ran.stderr).not.toContain('canary')
    }
  })

  test('comes from the variable, or else the file, with or without a newline', async () => {
    for (const env of [
      { BROKER_OPERATOR_KEY: OPERATOR_KEY },
      { BROKER_OPERATOR_KEY: `${OPERATOR_KEY}\n`, BROKER_OPERATOR_KEY_FILE: '/nosuch' },
      withKey(),
    ]) {
      const ran = await broker(['tokens', '--server', server.url], env)
      expect(ran.stderr).toContain('no live tokens')
      expect(ran.code).toBe(0)
    }
    const sent = server.of('listLeases').map(({ authorization }) => authorization)
    expect(sent).toEqual(Array(3).fill(`Bearer ${OPERATOR_KEY}`))
  })

  test('may come through a pipe of the shell, as of a password manager', async () => {
    const script = `BROKER_OPERATOR_KEY_FILE=<(echo "$KEY") exec "$@"`
    const { BIN, environment } = await import('./commands-product.ts')
    const { execFile } = await import('node:child_process')
    const env = environment(home.path, { BROKER_CA_FILE: caFile(), KEY: OPERATOR_KEY })
    const words = ['-c', script, 'bash', process.execPath, BIN, 'tokens', '--server', server.url]
    const code = await new Promise((resolve) => {
      execFile('bash', words, { env }, (error) => resolve(error?.code ?? 0))
    })
    expect(code).toBe(0)
    expect(server.of('listLeases')).toHaveLength(1)
  })

  test('is not sent where nobody has to prove anything', async () => {
    server.script = {
      jwks: () => ({ body: { keys: [{ kid: 'k1', alg: 'EdDSA', crv: 'Ed25519' }] } }),
    }
    const ran = await broker(['jwks', '--server', server.url])
    expect(ran.stdout).toBe('k1\tEdDSA\tEd25519\n')
    expect(server.asked.map(({ authorization }) => authorization)).toEqual([undefined, undefined])
  })

  test('is in no child: the daemon that a command starts does not have it', async () => {
    const { readFileSync } = await import('node:fs')
    const env = { BROKER_OPERATOR_KEY: OPERATOR_KEY, ...withKey() }
    expect((await broker(['tokens'], env)).code).toBe(0)
    const pid = Number(readFileSync(join(home.path, 'run/daemon.pid'), 'utf8'))
    const environ = readFileSync(`/proc/${pid}/environ`, 'latin1')
    expect(environ).toContain('BROKER_HOME=')
    expect(environ).not.toMatch(/canary|OPERATOR_KEY/)
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain('canary')
    await broker(['daemon', 'stop'])
    expect(readFileSync(join(home.path, 'state/daemon.log'), 'utf8')).not.toContain('canary')
  })

  describe.skipIf(!hasTerminal())('at a terminal', () => {
    test('is asked for once, however often the server is asked then, and not shown', async () => {
      const env = { BROKER_CA_FILE: caFile() }
      const args = ['tokens', '--watch', '--server', server.url]
      const terminal = new Terminal(args, { home: home.path, env })
      await terminal.until('operator key of')
      terminal.type(`${OPERATOR_KEY}\r`)
      await terminal.until('0 live')
      while (server.of('listLeases').length < 3) await new Promise((next) => setTimeout(next, 50))
      terminal.type('\u0003')
      await terminal.end()
      expect(terminal.shown.match(/operator key of/g)?.length).toBeGreaterThan(0)
      expect(terminal.shown).not.toContain('canary')
      expect(new Set(server.of('listLeases').map((one) => one.authorization)).size).toBe(1)
    })

    test('is not asked for before a broker has answered', async () => {
      const other = await ScriptedServer.open(
        { health: () => ({ body: '<html>' }) },
        { plain: true },
      )
      const terminal = new Terminal(['tokens', '--server', other.url], { home: home.path })
      expect(await terminal.end()).toBe(5)
      expect(terminal.shown).toContain('does not answer as a broker')
      expect(terminal.shown).not.toContain('operator key')
      await other.close()
    })
  })
})

describe('a server that cannot be believed gets no key, and each has its own words', () => {
  const cases: readonly {
    readonly name: string
    readonly options?: Parameters<typeof ScriptedServer.open>[1]
    readonly script?: Script
    readonly says: string
    readonly hint: string
    readonly url?: (url: string) => string
    readonly roots?: false
  }[] = [
    {
      name: 'signed by nobody we know',
      roots: false,
      says: 'not signed by a root',
      hint: '--ca-file',
    },
    {
      name: 'of another name',
      options: { name: 'broker.example' },
      says: 'for another name',
      hint: '--server',
    },
    {
      name: 'whose time is over',
      options: { over: true },
      says: 'is not valid now',
      hint: 'renew',
    },
    {
      name: 'without TLS at an https address',
      options: { plain: true },
      url: (url) => url.replace('http:', 'https:'),
      says: 'does not speak TLS',
      hint: '--plain-http is asked as http://',
    },
    {
      name: 'that is another web site',
      script: {
        health: () => ({ body: '<html>hello</html>', headers: { 'content-type': 'text/html' } }),
      },
      says: 'does not answer as a broker (200)',
      hint: 'broker serve printed',
    },
    {
      name: 'that is another API',
      script: { health: () => ({ body: { status: 'ok' } }) },
      says: 'does not answer as a broker (200)',
      hint: 'broker serve printed',
    },
    {
      name: 'behind a proxy that has lost it',
      script: { health: () => ({ status: 502, body: '<html>Bad Gateway</html>' }) },
      says: 'does not answer as a broker (502)',
      hint: 'broker serve printed',
    },
  ]
  test.each(cases)('$name', async ({ options, script, says, hint, url, roots }) => {
    const other = await ScriptedServer.open({ ...LISTING, ...script }, options)
    writeFileSync(caFile(), other.ca)
    const address = url?.(other.url) ?? other.url
    const env = { ...withKey(), ...(roots === false && { BROKER_CA_FILE: '' }) }
    const ran = await broker(['tokens', '--server', address], env)
    expectRefusal(ran, 5, says, hint)
    expect(other.heard).not.toContain('canary')
    await other.close()
  })

  test('that sends us elsewhere is not followed, before the key and after', async () => {
    const reached: string[] = []
    const trap = createServer((request, response) => {
      reached.push(request.url ?? '')
      response.end('{"status":"ok","version":"1","leases":[]}')
    })
    await new Promise<void>((done) => trap.listen(0, '127.0.0.1', done))
    const location = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/`
    const away = () => ({ status: 307, headers: { location }, body: '' })
    for (const script of [{ health: away }, { listLeases: away }]) {
      server.script = script
      const ran = await broker(['tokens', '--server', server.url], withKey())
      expectRefusal(ran, 5, 'sends us elsewhere (307), which is not followed', 'final address')
    }
    expect(reached).toEqual([])
    trap.close()
  })

  test('where nobody listens', async () => {
    await server.close()
    const ran = await broker(['tokens', '--server', server.url], withKey())
    expectRefusal(ran, 5, 'nobody listens at', 'broker serve')
  })

  test('of a name that is not known', async () => {
    const ran = await broker(['tokens', '--server', 'https://nosuch.invalid'], withKey())
    expectRefusal(ran, 5, 'is not known here', 'network')
  })

  test.each(['http://broker.example', 'ftp://x', 'broker.example', 'https://u:canary@h', ''])(
    'whose address is %s',
    async (address) => {
      const ran = await broker(['tokens', `--server=${address}`], withKey())
      expect(ran.stderr).toContain('is not the address of a server')
      expect(ran.code).toBe(2)
    },
  )

  test('that is too old for a command says so, and a lease that is not there does not', async () => {
    const env = withKey()
    const old = await broker(['approvals', '--server', server.url], env)
    expectRefusal(old, 1, '(version 9.9.9) does not offer this', 'broker --version')
    server.script = {
      showLease: () => refusing(404, 'not_found', 'no lease "lse_x"', 'broker tokens'),
    }
    const none = await broker(['audit', 'show', 'lse_x', '--server', server.url], env)
    expectRefusal(none, 1, 'no lease "lse_x"', 'broker tokens')
  })

  test('whose vault is locked is not sent a passphrase', async () => {
    server.script = { listLeases: () => refusing(503, 'vault_locked', 'the vault is locked') }
    const env = { ...withKey(), BROKER_VAULT_PASSPHRASE: 'canary-passphrase' }
    const ran = await broker(['tokens', '--server', server.url], env)
    expectRefusal(ran, 1, 'is locked', 'broker serve')
    expect(server.heard).not.toContain('canary-passphrase')
  })
})

describe('the roots to believe a server by', () => {
  test('are those of --ca-file before those of BROKER_CA_FILE', async () => {
    const env = { ...withKey(), BROKER_CA_FILE: '/nosuch' }
    const ran = await broker(['tokens', '--server', server.url, '--ca-file', caFile()], env)
    expect(ran.code).toBe(0)
  })

  test.each(['not PEM', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
    'in a file that holds none are an error: %s',
    async (text) => {
      writeFileSync(caFile(), text)
      const ran = await broker(['tokens', '--server', server.url], withKey())
      expectRefusal(ran, 1, 'holds no certificates that can be read', 'PEM')
      expect(server.asked).toEqual([])
    },
  )

  test('go with a server only', async () => {
    const ran = await broker(['tokens', '--ca-file', caFile()])
    expectRefusal(ran, 2, '--ca-file goes with --server only', '--server')
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })
})

test('plain http is taken on this machine alone, and works there', async () => {
  const plain = await ScriptedServer.open(LISTING, { plain: true })
  const ran = await broker(['tokens', '--server', plain.url], { ...withKey(), BROKER_CA_FILE: '' })
  expect(ran.code).toBe(0)
  expect(plain.of('listLeases')).toHaveLength(1)
  await plain.close()
})
