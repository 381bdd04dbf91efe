import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { collect, isAlive, until } from '../fixtures/broker.ts'
import { collectOpen } from '../fixtures/proxied.ts'
import type { AgentTask, Sending } from '../fixtures/proxied-agent.ts'
import { codeOf } from '../fixtures/proxied-requests.ts'
import { ServedJobs } from '../fixtures/served-jobs.ts'
import { ENTER, Terminal } from './commands-terminal.ts'

let ci: ServedJobs
beforeAll(async () => {
  ci = await ServedJobs.start()
})
afterAll(async () => {
  try {
    await until('no lease lives', async () => (await ci.live()).length === 0)
    expect(await ci.sightings()).toEqual([])
  } finally {
    await ci?.dispose()
  }
})
afterEach(async () => {
  await ci.endTasks()
})

const CI = ['--env', 'ci']
const FORGE = ['--env', 'forge']
const RAN = ['sh', '-c', 'echo RAN']

/** A request to the forge, as a client sends it that knows its task's variable. */
function at(task: AgentTask, path: string, method = 'GET'): Sending {
  const pair = Buffer.from(`x-access-token:${task.env['FORGE_TOKEN']}`).toString('base64')
  const headers = { authorization: `Basic ${pair}` }
  return { url: `https://forge.example${path}`, method, headers }
}

/** What CI systems give to every job. */
const PROOF = {
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'a',
  ACTIONS_ID_TOKEN_REQUEST_URL: 'https://ci.example/token',
  ACTIONS_RUNTIME_TOKEN: 'b',
  CI_JOB_TOKEN: 'c',
  CI_JOB_JWT: 'd',
  CI_JOB_JWT_V2: 'e',
  BUILDKITE_AGENT_ACCESS_TOKEN: 'f',
  CIRCLE_OIDC_TOKEN: 'g',
  CIRCLE_OIDC_TOKEN_V2: 'h',
  BROKER_OPERATOR_KEY: 'i',
  BROKER_OPERATOR_KEY_FILE: '/j',
}

const environmentOf = (out: string) =>
  Object.fromEntries(
    out
      .split('\0')
      .filter(Boolean)
      .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  )

describe('broker exec --server is refused with 125, and nothing runs', () => {
  it('for a job that no template lets in, without a word of why', async () => {
    const token = await ci.token({ repository_id: '666' })
    const { status, out, err } = await ci.run(CI, RAN, { token })
    expect([status, out]).toEqual([125, ''])
    expect(err).toMatch(/^broker: the subject token is not accepted\nhint: /)
    expect(err).not.toMatch(/repository|666/)
  })

  it('for an environment that is not theirs', async () => {
    const { status, out, err } = await ci.run(['--env', 'elsewhere'], RAN)
    expect([status, out]).toEqual([125, ''])
    expect(err).not.toContain('local')
  })

  it('for an identity token that was used before', async () => {
    const token = await ci.token()
    expect((await ci.run(CI, RAN, { token })).out).toBe('RAN\n')
    const { status, out, err } = await ci.run(CI, RAN, { token })
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('the subject token was used already')
  })

  it('for a run that has a lease already', async () => {
    const token = await ci.token({ run_id: '7', run_attempt: '1' })
    const holding = ci.job(token, CI, ['sh', '-c', 'echo go; cat'])
    const over = collectOpen(holding)
    await new Promise((go) => holding.stdout?.once('data', go))
    const again = await ci.token({ run_id: '7', run_attempt: '1' })
    const { status, out, err } = await ci.run(CI, RAN, { token: again })
    expect([status, out]).toEqual([125, ''])
    expect(err).toMatch(/run/)
    holding.stdin?.end()
    expect((await over).status).toBe(0)
  })

  it('by a template that wants walls', async () => {
    const { status, out, err } = await ci.run([...CI, '--template', 'walled'], RAN)
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('isolation')
    expect(err).toContain('with a server there is scrub alone')
  })

  it('with a certificate that nobody here trusts', async () => {
    const { status, out, err } = await ci.run(CI, RAN, { env: { BROKER_CA_FILE: '' } })
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('is not signed by a root that is trusted here')
  })

  it('to leave a proxied lease behind: its proxy is reached by way of exec', async () => {
    const { status, out, err } = await ci.run([...FORGE, '--until-ttl'], RAN)
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain('--until-ttl does not go with a proxied lease of a server')
    await until('the lease has ended', async () => (await ci.live()).length === 0)
  })
})

describe('broker exec --server', () => {
  it('runs the command with the lease, and revokes at its end', async () => {
    const { status, out, err } = await ci.run(CI, [
      'sh',
      '-c',
      'test -n "$BROKER_ACCESS_TOKEN" && echo "$BROKER_LEASE"; exit 7',
    ])
    expect(status, err).toBe(7)
    const id = out.trim()
    expect(err).toMatch(
      new RegExp(
        `^broker: lease ${id} · ci · template deploy · 15m · isolation scrub · api native\\n` +
          'broker: revoked in \\d+ ms\\n$',
      ),
    )
    expect(await ci.lease(id)).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
  })

  it('gives the command nothing by which it could ask for itself', async () => {
    const token = await ci.token()
    // The same for whoever reads it, and not for who looks for how tokens begin.
    const odd = ` ${token}`.replace(
      /^ [^.]+/,
      Buffer.from(' {"alg":"RS256"}').toString('base64url'),
    )
    const env = { ...PROOF, DEPLOY_IDENTITY: token, ODD: odd, HARMLESS: 'stays' }
    const { status, out, err } = await ci.run(CI, ['env', '-0'], { env })
    expect(status, err).toBe(0)
    const seen = environmentOf(out)
    expect(Object.keys(PROOF).filter((name) => name in seen)).toEqual([])
    expect(seen).not.toHaveProperty('DEPLOY_IDENTITY')
    expect(seen).not.toHaveProperty('ODD')
    expect(seen).not.toHaveProperty('BROKER_ID_TOKEN')
    expect(seen).not.toHaveProperty('BROKER_SOCKET')
    expect(seen).toMatchObject({
      HARMLESS: 'stays',
      BROKER_SERVER: ci.server.url,
      BROKER_CA_FILE: ci.server.caFile,
      BROKER_ENV: 'ci',
      BROKER_HANDLE: expect.stringMatching(/^bkh_/),
    })
  })

  it('leaves no home and no folder on the job’s machine', async () => {
    await ci.run(FORGE, RAN)
    expect(existsSync(ci.jobHome)).toBe(false)
    const left = readdirSync(ci.temp).flatMap((name) => readdirSync(join(ci.temp, name)))
    expect(left).toEqual([])
  })

  it('takes the identity from a file', async () => {
    const { writeFileSync } = await import('node:fs')
    const file = join(ci.tree, 'identity.jwt')
    writeFileSync(file, `${await ci.token()}\n`)
    const { status, out } = await ci.run([...CI, '--subject-token-file', 'identity.jwt'], RAN, {
      token: 'not-this-one',
    })
    expect([status, out]).toEqual([0, 'RAN\n'])
  })

  it('passes signals on, and ends the lease after', async () => {
    const task = await ci.agent(CI)
    task.exec.kill('SIGTERM')
    expect((await task.ended).status).toBe(143)
    expect(await ci.lease(task.lease)).toMatchObject({ endReason: 'task_ended' })
  })

  it('shows what a person has to decide, and with which command', async () => {
    const child = ci.job(await ci.token(), [...CI, '--template', 'asked'], RAN)
    const over = collect(child)
    const { id } = await ci.question()
    const env = { HOME: ci.server.folder, BROKER_HOME: ci.server.home, BROKER_VAULT: 'file' }
    const person = new Terminal(['approve', id], { home: ci.server.folder, env })
    await person.until('to approve this:')
    const [, words = ''] = /type (.+) to approve this:/.exec(person.shown) ?? []
    person.type(`${words}${ENTER}`)
    expect(await person.end()).toBe(0)
    const { status, out, err } = await over
    expect([status, out]).toEqual([0, 'RAN\n'])
    expect(err).toMatch(
      new RegExp(`waiting for approval ${id} .*: broker approve ${id} --server ${ci.server.url}\n`),
    )
  })

  it('starts a task inside of a task with what that one has, and no more', async () => {
    const script = `exec "${process.execPath}" "$0" exec --isolation scrub --env ci --quiet -- sh -c 'echo "$BROKER_LEASE $BROKER_SERVER"'`
    const { BIN } = await import('../fixtures/broker.ts')
    const { status, out, err } = await ci.run(CI, ['sh', '-c', script, BIN])
    expect(status, err).toBe(0)
    const [inner = '', server] = out.trim().split(' ')
    expect(server).toBe(ci.server.url)
    const outer = /lease (lse_\S+)/.exec(err)?.[1]
    expect(await ci.lease(inner)).toMatchObject({ parent: outer, endReason: 'task_ended' })
  })
})

describe('a proxied grant of a server', () => {
  it('is judged there: what is not allowed is refused, and never arrives', async () => {
    const task = await ci.agent(FORGE)
    const before = ci.forge.arrived.length
    const refused = async (sending: Sending) => {
      const told = await task.send(sending)
      expect(told).toMatchObject({ status: 403, decision: 'deny' })
      return codeOf(told)
    }
    expect(await refused(at(task, '/shop/notes/1', 'DELETE'))).toBe('operation_denied')
    expect(await refused(at(task, '/else/me'))).toBe('environment_mismatch')
    expect(await refused({ url: 'https://forge.example/shop/me' })).toBe('credential_missing')
    const key = Buffer.from(`x-access-token:${ci.forge.key}`).toString('base64')
    const headers = { authorization: `Basic ${key}` }
    expect(await refused({ ...at(task, '/shop/me'), headers })).toBe('foreign_credential')
    expect(ci.forge.arrived.length).toBe(before)
    await task.finish()
  })

  it('does not lead into the private networks around the server, with any template that lists no hosts', async () => {
    const task = await ci.agent(FORGE)
    for (const host of ['10.255.255.1', '192.168.255.254', '[fd12::1]']) {
      const args = ['-sS', '-m', '30', '--noproxy', '', '-w', '\n%{http_code}']
      const { out = '' } = await task.run('curl', [...args, `http://${host}:9/`])
      const [text = '', status] = out.split(/\n(?=\d+$)/)
      expect([host, status, codeOf({ text: text || '{}' })]).toEqual([host, '403', 'egress_denied'])
    }
    await task.finish()
  })

  it('works with the master key, which stays there', async () => {
    const task = await ci.agent(FORGE)
    expect(await task.send(at(task, '/shop/me'))).toMatchObject({
      status: 200,
      text: '{"ok":true}',
    })
    expect(ci.forge.arrived.at(-1)).toMatchObject({ line: 'GET /shop/me', authorised: true })
    expect(JSON.stringify(task.env)).not.toContain(ci.forge.key)
    expect(readFileSync(task.env['SSL_CERT_FILE'] ?? '', 'utf8')).toContain('BEGIN CERTIFICATE')
    expect(task.env['NO_PROXY']).toBe('localhost,127.0.0.1,::1,127.0.0.1')
    const { err } = await task.finish()
    expect(err).toMatch(/forge proxied\nbroker: revoked in/)
    expect((await ci.lease(task.lease)).grants[0]?.requests).toMatchObject({ allowed: 1 })
  })

  it('is cut within a moment of broker revoke', async () => {
    const task = await ci.agent(FORGE)
    await task.follow('stream', at(task, '/shop/events'))
    await ci.server.must(['revoke', task.lease])
    expect((await task.hear('stream over')).end).toBe('cut')
    const events = ci.forge.events
    expect(await task.send(at(task, '/shop/me'))).toHaveProperty('failed')
    expect(ci.forge.open).toBe(0)
    expect(ci.forge.events).toBe(events)
    const { err } = await task.finish()
    expect(err).toContain('ended early (revoked)')
  })
})

describe('a job of which nothing is heard any more', () => {
  it('loses its lease although its connection stands, and is told when it is back', async () => {
    const task = await ci.agent(CI)
    task.exec.kill('SIGSTOP')
    expect(await ci.ended(task.lease)).toMatchObject({ endReason: 'task_ended' })
    task.exec.kill('SIGCONT')
    let err = ''
    task.exec.stderr?.on('data', (piece) => {
      err += piece
    })
    await until('it is told', () => err.includes('ended early'))
    expect((await task.finish()).status).toBe(0)
  })
})

describe('kill -9', () => {
  it('of exec ends its lease and its proxy, and leaves nothing secret behind', async () => {
    const task = await ci.agent(FORGE)
    await task.follow('stream', at(task, '/shop/events'))
    task.exec.kill('SIGKILL')
    expect(await ci.ended(task.lease)).toMatchObject({
      state: 'revoked',
      endReason: 'task_ended',
      endNote: 'the session was lost',
    })
    await until('the stream is cut', () => ci.forge.open === 0)
    await until('the agent has ended with its input', () => !isAlive(task.pid))
    const files = readdirSync(ci.temp, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(files.length).toBeGreaterThan(0)
    const { BROKER_HANDLE = '', FORGE_TOKEN = '' } = task.env
    for (const { parentPath, name } of files) {
      const text = readFileSync(join(parentPath, name), 'latin1')
      for (const secret of [BROKER_HANDLE, FORGE_TOKEN, ci.forge.key]) {
        expect(text.includes(secret), `${name} holds a secret`).toBe(false)
      }
    }
    await ci.run(CI, RAN)
    const left = readdirSync(ci.temp).flatMap((name) => readdirSync(join(ci.temp, name)))
    expect(left, 'the next task sweeps').toEqual([])
  })

  it('of the server, which starts again: the task goes on and its end is confirmed', async () => {
    const task = await ci.agent(CI)
    const deserter = await ci.agent(CI)
    process.kill(ci.server.pid, 'SIGKILL')
    await ci.server.ended()
    deserter.exec.kill('SIGKILL')
    await ci.server.launch()
    // By then whoever was to come back has come back.
    await ci.ended(deserter.lease)
    expect((await ci.live()).map(({ id }) => id)).toEqual([task.lease])
    expect((await task.run('true', [])).code).toBe(0)
    const { status, err } = await task.finish()
    expect(status, err).toBe(0)
    expect(err).toMatch(/broker: revoked in \d+ ms\n$/)
    expect(await ci.lease(task.lease)).toMatchObject({ endReason: 'task_ended', endNote: 'exit 0' })
  })

  it('of the server ends a task whose proxy went with it', async () => {
    const task = await ci.agent(FORGE)
    expect(await task.send(at(task, '/shop/me'))).toMatchObject({ status: 200 })
    process.kill(ci.server.pid, 'SIGKILL')
    await ci.server.ended()
    await ci.server.launch()
    const { status, err } = await task.ended
    expect(status, err).toBe(143)
    expect(err).toContain('ended early')
    expect(err).toContain('and the command is ended')
    await ci.ended(task.lease)
  })

  it('of the server, which stays away: the command is ended, and until when the lease may live is said', async () => {
    const task = await ci.agent(CI)
    const { expiresAt } = await ci.lease(task.lease)
    process.kill(ci.server.pid, 'SIGKILL')
    await ci.server.ended()
    const { status, err } = await task.ended
    expect(status, err).toBe(143)
    expect(err).toContain(`the server "${ci.server.url}" went away and did not come back`)
    expect(err).toContain(`hint: lease ${task.lease} ends when it is back, or at ${expiresAt}`)
    expect(isAlive(task.pid)).toBe(false)
    await ci.server.launch()
    await ci.ended(task.lease)
  })

  it('of the server right before the end: the exit code is the command’s, and the line says what may live', async () => {
    const task = await ci.agent(CI)
    process.kill(ci.server.pid, 'SIGKILL')
    await ci.server.ended()
    const { status, err } = await task.finish()
    expect(status).toBe(0)
    expect(err).toMatch(
      new RegExp(
        `the server does not answer: lease ${task.lease} \\(api\\) may stay live until \\d`,
      ),
    )
    await ci.server.launch()
    await ci.ended(task.lease)
  })
})
