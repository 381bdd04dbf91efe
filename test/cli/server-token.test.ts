import { spawn } from 'node:child_process'
import { chmodSync, existsSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BIN, environment, freshHome, type Ran, runBroker } from './commands-product.ts'
import { LEASE_ID, lease } from './commands-samples.ts'
import { hasTerminal, Terminal } from './commands-terminal.ts'
import { HANDLE, OPERATOR_KEY, refusing, type Script, ScriptedServer } from './server-scripted.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const ID_TOKEN = `${part({ alg: 'RS256' })}.${part({ sub: 'canary-identity' })}.c2lnbmF0dXJl`
const PASSWORD = "canary-'pass$word"
const LEASE_TYPE = 'urn:broker:token-type:lease'

let home: ReturnType<typeof freshHome>
let server: ScriptedServer
/** What happened, in order. */
let story: string[]

const told = (word: string, reply: ReturnType<typeof refusing>) => () => {
  story.push(word)
  return reply
}
const granting = (): Script => ({
  exchange: told('exchange', {
    status: 200,
    body: {
      access_token: HANDLE,
      issued_token_type: LEASE_TYPE,
      token_type: 'N_A',
      expires_in: 900,
      scope: 'template:ci',
      lease_id: LEASE_ID,
    },
  }),
  claimLease: told('claim', {
    status: 200,
    body: {
      lease: lease({ environment: 'ci' }),
      variables: { PGPASSWORD: PASSWORD, BROKER_LEASE: LEASE_ID },
    },
  }),
  ackLease: told('acknowledge', { status: 200, body: {} }),
  oauthRevoke: told('revoke', { status: 200, body: {} }),
})

beforeEach(async () => {
  home = freshHome()
  story = []
  server = await ScriptedServer.open(granting())
  writeFileSync(join(home.path, 'ca.pem'), server.ca)
  writeFileSync(join(home.path, 'id.jwt'), `${ID_TOKEN}\n`)
})
afterEach(async () => {
  await server.close()
  home.remove()
})

const ARGS = ['token', '--env', 'ci', '--subject-token-file', 'id.jwt']
const env = (more: Readonly<Record<string, string>> = {}) => ({
  BROKER_SERVER: server.url,
  BROKER_CA_FILE: join(home.path, 'ca.pem'),
  ...more,
})
const broker = (
  args: readonly string[] = ARGS,
  more: Readonly<Record<string, string>> = {},
  input?: string,
) => runBroker(args, { home: home.path, env: env(more), ...(input !== undefined && { input }) })

/** Nothing secret on standard error, and on standard output only where it belongs. */
function expectRefusal(ran: Ran, code: number, says: string | RegExp) {
  expect(ran.stderr).toMatch(says)
  expect(ran.stderr).toMatch(/^hint: ./m)
  expect(ran.stdout + ran.stderr).not.toContain('canary')
  expect(ran.code).toBe(code)
}

describe('refused before anything is asked', () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [['token'], 'flag "--env" is missing'],
    [['token', '--env', 'ci', '--format', 'xml'], 'flag "--format" must be one of'],
    [[...ARGS, '--ttl', 'soon'], '--ttl "soon" is not a duration'],
    [[...ARGS, '--json', '--format', 'shell'], '--json and --format shell exclude each other'],
    [[...ARGS, '--format', 'github'], '--format github needs "GITHUB_ENV"'],
    [['token', '--env', 'ci', '--subject-token-file', ID_TOKEN], 'takes the name of a file'],
    [['token', '--env', 'ci', '--subject-token-file', 'nosuch'], 'cannot be read'],
    [['token', '--env', 'ci', '--subject-token-file', 'ca.pem'], 'holds no identity token'],
  ]
  test.each(cases)('%j', async (args, says) => {
    const ran = await broker(args)
    if (args.includes('--json')) expect(ran.stdout).toContain(says)
    else expectRefusal(ran, 2, says)
    expect(ran.code).toBe(2)
    expect(server.asked).toEqual([])
  })

  test('a job without an identity', async () => {
    expectRefusal(await broker(['token', '--env', 'ci']), 3, 'no CI job whose identity is known')
    expect(server.asked).toEqual([])
  })

  test.each(['--audience', '--subject-token-file'])('%s without a server', async (flag) => {
    const ran = await broker(['token', '--env', 'ci', flag, 'x'], { BROKER_SERVER: '' })
    expectRefusal(ran, 2, `${flag} goes with a server only`)
    expect(existsSync(join(home.path, 'run'))).toBe(false)
  })
})

describe('refused by the server', () => {
  test('with its reason as far as it tells, and nothing is printed', async () => {
    const error_description = 'the subject token is not accepted'
    server.script = {
      exchange: () => ({ status: 400, body: { error: 'invalid_request', error_description } }),
    }
    expectRefusal(await broker(), 3, 'does not accept the identity token of this job')
  })

  test.each(['this run already has a live lease', 'the template allows at most 30m'])(
    'because %s',
    async (error_description) => {
      server.script = {
        exchange: () => ({ status: 400, body: { error: 'invalid_request', error_description } }),
      }
      expectRefusal(await broker(), 3, error_description)
    },
  )

  test('by the certificate: the identity token does not leave', async () => {
    const ran = await broker(ARGS, { BROKER_CA_FILE: '' })
    expectRefusal(ran, 5, 'is not signed by a root that is trusted here')
    expect(server.heard).not.toContain(ID_TOKEN)
  })

  test('at the claim: the lease is given back', async () => {
    server.script = { ...granting(), claimLease: () => refusing(410, 'already_claimed', 'taken') }
    expectRefusal(await broker(), 3, 'broker: taken')
    expect(story).toEqual(['exchange', 'revoke'])
  })

  test('at the acknowledgement: what was printed is revoked, and the exit code says so', async () => {
    server.script = { ...granting(), ackLease: () => refusing(410, 'lease_ended', 'too late') }
    const ran = await broker()
    expect(ran.stderr).toContain('broker: too late')
    expect(ran.code).toBe(3)
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })
})

describe('credentials that cannot be written out whole are revoked', () => {
  const shell = (script: string, more: Readonly<Record<string, string>> = {}) =>
    new Promise<Ran>((resolve) => {
      const words = ['-c', script, 'bash', process.execPath, BIN, ...ARGS]
      const child = spawn('bash', words, {
        cwd: home.path,
        env: environment(home.path, env(more)),
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', (text) => {
        stdout += text
      })
      child.stderr.on('data', (text) => {
        stderr += text
      })
      child.once('close', (code) => resolve({ code, stdout, stderr }))
    })

  test('to a full disk', async () => {
    expectRefusal(await shell('"$@" > /dev/full'), 1, 'could not be written out (ENOSPC)')
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })

  test('to a reader that has gone', async () => {
    // The pipe has no reader any more when the broker begins.
    const ran = await shell('exec 3> >(exit 0); sleep 0.3; "$@" >&3')
    expectRefusal(ran, 1, 'could not be written out (EPIPE)')
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })

  test('to a file that takes the first part and no more', async () => {
    server.script = {
      ...granting(),
      claimLease: told('claim', {
        status: 200,
        body: { lease: lease(), variables: { LONG: 'x'.repeat(5000) } },
      }),
    }
    const ran = await shell('trap "" XFSZ; ulimit -f 1; "$@" > out')
    expect(statSync(join(home.path, 'out')).size).toBeGreaterThan(0)
    expectRefusal(ran, 1, 'could not be written out (EFBIG)')
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })

  test('in a form that cannot hold them', async () => {
    server.script = {
      ...granting(),
      claimLease: told('claim', {
        status: 200,
        body: { lease: lease(), variables: { KEY: 'canary\nof two lines' } },
      }),
    }
    expectRefusal(await broker(), 1, 'the value of "KEY" cannot stand in one line')
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })

  test('to a GITHUB_ENV that is a link: masked all the same', async () => {
    const link = join(home.path, 'link')
    const { symlinkSync } = await import('node:fs')
    symlinkSync('/dev/null', link)
    const ran = await broker([...ARGS, '--format', 'github'], { GITHUB_ENV: link })
    expect(ran.stderr).toContain('"GITHUB_ENV" names cannot be opened')
    expect(ran.stdout).toContain(`::add-mask::${PASSWORD}\n`)
    expect(ran.code).toBe(2)
    expect(unmasked(ran.stdout)).not.toContain('canary')
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })

  test('when a signal comes first, and the exit code is that of the signal', async () => {
    let answer: () => void = () => {}
    const held = new Promise<void>((done) => {
      answer = done
    })
    const { claimLease, ...rest } = granting()
    let asked: () => void = () => {}
    const claiming = new Promise<void>((done) => {
      asked = done
    })
    server.script = {
      ...rest,
      claimLease: async (one) => {
        asked()
        await held
        return (await claimLease?.(one)) ?? refusing(500, 'internal', 'x')
      },
    }
    const child = spawn(process.execPath, [BIN, ...ARGS], {
      cwd: home.path,
      env: environment(home.path, env()),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (text) => {
      out += text
    })
    child.stderr.on('data', (text) => {
      err += text
    })
    await claiming
    child.kill('SIGTERM')
    while (!err.includes('SIGTERM')) await new Promise((next) => setTimeout(next, 10))
    answer()
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect(out).toBe('')
    expect(code).toBe(143)
    expect(story).toEqual(['exchange', 'claim', 'revoke'])
  })
})

function unmasked(text: string): string {
  return text.replaceAll(/^::add-mask::.*$/gm, '')
}

describe('a job gets its credentials', () => {
  test('on standard output, and acknowledges them when they are there', async () => {
    const ran = await broker()
    expect(ran.stdout).toBe(
      [
        `PGPASSWORD=${PASSWORD}`,
        `BROKER_LEASE=${LEASE_ID}`,
        `BROKER_HANDLE=${HANDLE}`,
        `BROKER_SERVER=${server.url}`,
        `BROKER_CA_FILE=${join(home.path, 'ca.pem')}`,
        '',
      ].join('\n'),
    )
    expect(ran.stderr).toContain(`broker revoke ${LEASE_ID} --server ${server.url}`)
    expect(ran.stderr).not.toContain('canary')
    expect(ran.code).toBe(0)
    expect(story).toEqual(['exchange', 'claim', 'acknowledge'])
    const form = new URLSearchParams(server.of('exchange')[0]?.body)
    expect(Object.fromEntries(form)).toMatchObject({
      subject_token: ID_TOKEN,
      audience: 'ci',
      requested_token_type: LEASE_TYPE,
    })
    expect(form.has('scope')).toBe(false)
  })

  const rootsOf = async (flags: readonly string[], more: Readonly<Record<string, string>> = {}) => {
    const { stdout } = await broker([...ARGS, ...flags], more)
    const { variables } = JSON.parse(stdout)
    return variables.BROKER_CA_FILE as string | undefined
  }

  test('with the roots of --ca-file, so that its later commands believe the server without the flag', async () => {
    const roots = await rootsOf(['--ca-file', 'ca.pem', '--json'], { BROKER_CA_FILE: '' })
    expect(roots).toBe(join(home.path, 'ca.pem'))
    server.script = { ...server.script, showLease: () => ({ status: 200, body: lease() }) }
    const later = { BROKER_CA_FILE: roots ?? '', BROKER_HANDLE: HANDLE, BROKER_LEASE: LEASE_ID }
    const ran = await broker(['revoke', LEASE_ID], later)
    expect(ran.code, ran.stderr).toBe(0)
  })

  test('without roots that are gone when it ends', async () => {
    const child = spawn(
      'bash',
      ['-c', '"$0" "$@" --ca-file <(cat ca.pem)', process.execPath, BIN, ...ARGS],
      { cwd: home.path, env: environment(home.path, env({ BROKER_CA_FILE: '' })) },
    )
    let out = ''
    for await (const text of child.stdout) out += text
    expect(out).toContain('BROKER_SERVER=')
    expect(out).not.toContain('BROKER_CA_FILE')
  })

  test('for jobs of GitLab that come later, where that file may not be', async () => {
    server.script = {
      ...granting(),
      claimLease: () => ({ status: 200, body: { lease: lease(), variables: { KEY: 'canary' } } }),
    }
    const { stdout } = await broker([...ARGS, '--format', 'gitlab'])
    expect(stdout).toContain('BROKER_SERVER=')
    expect(stdout).not.toContain('BROKER_CA_FILE')
  })

  test('with what the flags say', async () => {
    const flags = ['--template', 't', '--ttl', '5m', '--reason', 'deploy', '--server', server.url]
    const ran = await broker([...ARGS, ...flags], { BROKER_SERVER: 'https://nosuch.invalid' })
    expect(ran.code).toBe(0)
    const form = new URLSearchParams(server.of('exchange')[0]?.body)
    expect(Object.fromEntries(form)).toMatchObject({
      scope: 'template:t',
      ttl: '300',
      reason: 'deploy',
    })
  })

  test('from standard input', async () => {
    const args = ['token', '--env', 'ci', '--subject-token-file', '-']
    expect((await broker(args, {}, ID_TOKEN)).code).toBe(0)
    expect(new URLSearchParams(server.of('exchange')[0]?.body).get('subject_token')).toBe(ID_TOKEN)
  })

  test.each([['--json'], ['--format', 'json'], ['--json', '--format', 'json']])(
    'as JSON: %s %s %s',
    async (...flags) => {
      const ran = await broker([...ARGS, ...flags.filter(Boolean)])
      const { lease: view, variables } = JSON.parse(ran.stdout)
      expect(view.id).toBe(LEASE_ID)
      expect(variables.PGPASSWORD).toBe(PASSWORD)
      expect(ran.stderr).toBe('')
    },
  )

  test('for a shell, where eval makes them what they are', async () => {
    const { stdout } = await broker([...ARGS, '--format', 'shell'])
    const child = spawn('sh', ['-c', `${stdout}\nprintf %s "$PGPASSWORD"`], { stdio: 'pipe' })
    let value = ''
    for await (const text of child.stdout) value += text
    expect(value).toBe(PASSWORD)
  })

  test('for later steps of GitHub, masked before they are anywhere else', async () => {
    const file = join(home.path, 'github-env')
    const output = join(home.path, 'github-output')
    writeFileSync(file, '')
    writeFileSync(output, '')
    const more = { GITHUB_ENV: file, GITHUB_OUTPUT: output }
    const ran = await broker([...ARGS, '--format', 'github'], more)
    expect(ran.code).toBe(0)
    expect(ran.stdout).toContain(`::add-mask::${ID_TOKEN}\n`)
    expect(ran.stdout).toContain(`::add-mask::${PASSWORD}\n`)
    expect(ran.stdout).toContain(`::add-mask::${HANDLE}\n`)
    expect(unmasked(ran.stdout) + ran.stderr).not.toContain('canary')
    expect(readFileSync(file, 'utf8')).toContain(PASSWORD)
    expect(readFileSync(output, 'utf8')).toContain(LEASE_ID)
    expect(story).toEqual(['exchange', 'claim', 'acknowledge'])
  })

  test('of Buildkite, whose agent does not inherit the operator key', async () => {
    const dump = join(home.path, 'dump')
    const agent = join(home.path, 'buildkite-agent')
    writeFileSync(agent, `#!/bin/sh\nenv > "${dump}"\necho "$@" >> "${dump}"\necho ${ID_TOKEN}\n`)
    chmodSync(agent, 0o755)
    const more = {
      PATH: `${home.path}:${process.env['PATH']}`,
      BUILDKITE: 'true',
      BROKER_OPERATOR_KEY: OPERATOR_KEY,
      BROKER_OPERATOR_KEY_FILE: '/nosuch',
    }
    const ran = await broker(['token', '--env', 'ci', '--audience', 'for-us'], more)
    expect(ran.code).toBe(0)
    const seen = readFileSync(dump, 'utf8')
    expect(seen).toContain('--audience for-us')
    expect(seen).not.toMatch(/OPERATOR_KEY|canary-operator/)
    expect(server.heard).not.toContain('canary-operator')
  })

  test.skipIf(!hasTerminal())('at a terminal is told that what follows is secret', async () => {
    const terminal = new Terminal(ARGS, { home: home.path, env: env() })
    expect(await terminal.end()).toBe(0)
    const { shown } = terminal
    expect(shown.indexOf('what follows is secret')).toBeGreaterThanOrEqual(0)
    expect(shown.indexOf('what follows is secret')).toBeLessThan(shown.indexOf('canary'))
  })
})

describe('without a server a person gets a token of the local daemon', () => {
  const local = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    runBroker(args, { home: home.path, env: { BROKER_VAULT: 'file', ...more } })
  const leases = async (...flags: string[]) =>
    JSON.parse((await local(['tokens', '--json', ...flags])).stdout).leases
  const live = () => leases()
  const ever = () => leases('--all')
  const apply = async (template: string) => {
    const text = `version: 1
environments:
  staging: { api: { provider: jwt, audience: https://api.example } }
templates:
  t: { environments: [staging], ${template} grants: { api: { allow: [read] } } }
`
    writeFileSync(join(home.path, 'broker.yaml'), text)
    expect((await local(['template', 'apply', 'broker.yaml', '--yes'])).code).toBe(0)
  }
  afterEach(() => local(['daemon', 'stop']))

  test('not where a proxy would be needed', async () => {
    await apply('egress: [api.example],')
    const ran = await local(['token', '--env', 'staging'])
    expectRefusal(ran, 3, 'what template "t" grants goes through a proxy')
    expect(await ever()).toEqual([])
  })

  test('not where a person has to approve it first', async () => {
    await apply('approval: required, unconfined: true,')
    expectRefusal(await local(['token', '--env', 'staging']), 4, 'template "t" needs an approval')
    expect(await ever()).toEqual([])
  })

  test('not where the template wants walls around a command', async () => {
    await apply('isolation: confine,')
    const ran = await local(['token', '--env', 'staging'])
    expectRefusal(ran, 3, 'isolation')
    expect(await ever()).toEqual([])
  })

  test('not where it cannot be written out: it is revoked', async () => {
    const child = spawn(process.execPath, [BIN, 'token', '--env', 'staging'], {
      cwd: home.path,
      env: environment(home.path, { BROKER_VAULT: 'file' }),
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    })
    let stderr = ''
    child.stderr?.on('data', (text) => {
      stderr += text
    })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1)
    expect(stderr).toContain('could not be written out (ENOSPC)')
    const [last] = await ever()
    expect(last.state).toBe('revoked')
  })

  test('that works, is short, stays after the command and ends by broker revoke', async () => {
    const ran = await local(['token', '--env', 'staging', '--json', '--reason', 'by hand'])
    expect(ran.code).toBe(0)
    const { lease: view, variables } = JSON.parse(ran.stdout)
    expect(variables.BROKER_ACCESS_TOKEN).toMatch(/^ey/)
    // A shell with these would act as a task, and could end nothing.
    expect(variables).not.toHaveProperty('BROKER_HANDLE')
    expect(variables).not.toHaveProperty('BROKER_SOCKET')
    expect(Date.parse(view.expiresAt) - Date.parse(view.issuedAt)).toBe(15 * 60_000)
    const [listed] = await live()
    expect(listed).toMatchObject({ id: view.id, reason: 'by hand', run: null })
    expect(listed.actor.command).toBe('broker token')
    expect((await local(['revoke', view.id])).code).toBe(0)
    expect(await live()).toEqual([])
  })
})
