import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isAlive, until } from '../fixtures/broker.ts'
import { codeAt, wrongCodeAt } from '../fixtures/codes.ts'
import { collectOpen, ProxiedProduct } from '../fixtures/proxied.ts'
import { AgentTask } from '../fixtures/proxied-agent.ts'
import { codeOf, graphql, nameOf } from '../fixtures/proxied-requests.ts'
import { ENTER, hasTerminal } from './commands-terminal.ts'

let broker: ProxiedProduct
beforeAll(async () => {
  broker = await ProxiedProduct.start()
})
afterAll(() => broker?.dispose())
afterEach(() => broker.endTasks())

const name = () => nameOf(broker.cloud.ids.staging)
const removal = () =>
  graphql('mutation($id:String!){volumeDelete(volumeId:$id)}', { id: broker.cloud.ids.cache })
const hasVolume = () => broker.cloud.world.volumes.some(({ id }) => id === broker.cloud.ids.cache)
function setting(value: string) {
  const { shop, staging, web } = broker.cloud.ids
  const place = { projectId: shop, environmentId: staging, serviceId: web }
  const input = { ...place, name: 'LOG_LEVEL', value, skipDeploys: true }
  return graphql('mutation($input:VariableUpsertInput!){variableUpsert(input:$input)}', { input })
}

describe.skipIf(!hasTerminal())('a request that a person has to approve', () => {
  let task: AgentTask
  const start = async (template: string) => {
    task = await broker.startAgent(['--template', template, '--reason', 'to make room'])
  }

  it('waits, and its own task can neither see nor approve nor deny it', async () => {
    await start('careful')
    const held = task.send(removal())
    const { id, kind, lease, targets } = await broker.question()
    expect([kind, lease, targets.map((target) => target.name)]).toEqual([
      'request',
      task.lease,
      ['cache'],
    ])
    const env = { PATH: `${broker.installed()}:${process.env['PATH']}` }
    for (const line of [
      `broker approve ${id}`,
      `broker deny ${id}`,
      'broker approvals',
      'broker approve --enroll',
    ]) {
      const { code, err } = await task.shell(line, env)
      expect([line, code, err]).toEqual([line, 3, expect.stringMatching(/^broker: a task cannot /)])
    }
    const routes = [
      ['POST', `/v1/approvals/${id}/approve`, '{"typed":"cache"}'],
      ['POST', `/v1/approvals/${id}/deny`, '{}'],
      ['GET', `/v1/approvals/${id}`, ''],
      ['GET', '/v1/approvals', ''],
      ['POST', '/v1/approvals/enroll', '{}'],
    ]
    for (const [method, path, body] of routes) {
      const told = await task.ask('daemon', { method, path, body })
      expect([path, told.status, codeInError(told)]).toEqual([path, 403, 'denied'])
    }
    // As an operator it has no key: the phantom and the session are none.
    const bearer = '$RAILWAY_TOKEN'
    const told = await task.ask('daemon', {
      method: 'POST',
      path: `/v1/approvals/${id}/approve`,
      body: '{"typed":"cache"}',
      bearer,
    })
    expect([told.status, codeInError(told)]).toEqual([401, 'unauthorized'])
    expect(await broker.approvals()).toMatchObject([{ id, state: 'pending' }])
    expect(hasVolume()).toBe(true)
    await broker.must(['deny', id, '--reason', 'that cache is needed'])
    const answer = await held
    expect([answer.status, codeOf(answer)]).toEqual([403, 'approval_denied'])
    expect(answer.text).toContain('that cache is needed')
    // It stays denied, and nobody is asked again.
    expect(codeOf(await task.send(removal()))).toBe('approval_denied')
    expect(await broker.approvals()).toEqual([])
    expect(broker.mutations()).toEqual([])
    await task.finish()
  })

  it('goes on once it is approved by its target’s name, and passes once', async () => {
    await start('careful')
    const held = task.send(removal())
    const { id } = await broker.question()
    const wrong = broker.terminal('approve', id)
    await wrong.until('type cache to approve this:')
    for (const words of ['"cache"', 'in "staging"', 'backup', '"to make room"']) {
      expect(wrong.shown).toContain(words)
    }
    wrong.type(`pgdata${ENTER}`)
    expect(await wrong.end()).toBe(3)
    expect(hasVolume()).toBe(true)
    await broker.approveTyped(id, 'cache')
    expect((await held).text).toContain('"volumeDelete":true')
    expect(hasVolume()).toBe(false)
    expect(broker.mutations()).toHaveLength(1)
    expect(await broker.approvals('--all')).toMatchObject([
      { id, state: 'used' },
      { state: 'denied' },
    ])
    // Used up: where it says what it touches no more, the same is not even asked.
    const again = await task.send(removal())
    expect(again.status).toBe(403)
    expect(broker.mutations()).toHaveLength(1)
    const entries = (await broker.entries(task.lease)).map(({ type }) => type)
    for (const type of [
      'approval.requested',
      'approver.refused',
      'approval.approved',
      'approval.used',
    ]) {
      expect(entries).toContain(type)
    }
    await task.finish()
    expect(broker.left(task.phantom)).toBe(false)
  })

  it('goes on after a code of the authenticator, and after no other', async () => {
    const seed = await broker.enroll()
    await start('coded')
    const held = task.send(setting('trace'))
    const { id } = await broker.question()
    const wrong = broker.terminal('approve', id)
    await wrong.until('code to approve this:')
    wrong.type(`${wrongCodeAt(seed, Date.now())}${ENTER}`)
    expect(await wrong.end()).toBe(3)
    const right = broker.terminal('approve', id)
    await right.until('code to approve this:')
    // The one of now was used to enrol; the next one counts already.
    right.type(`${codeAt(seed, Date.now() + 30_000)}${ENTER}`)
    expect(await right.end()).toBe(0)
    broker.canary.heard(wrong.shown + right.shown)
    expect((await held).text).toContain('"variableUpsert":true')
    await task.finish()
  })

  it('lapses with its lease, and the request never goes', async () => {
    await start('careful')
    const before = broker.mutations().length
    const held = task.send(setting('fatal'))
    const { id } = await broker.question()
    await broker.must(['revoke', task.lease])
    expect((await held).status ?? (await held).failed).not.toBe(200)
    const late = await broker.run(['deny', id])
    expect([late.status, late.err]).toEqual([
      1,
      expect.stringContaining(`approval "${id}" has lapsed`),
    ])
    expect(broker.mutations()).toHaveLength(before)
    await task.finish()
  })
})

describe.skipIf(!hasTerminal())('a lease that a person has to approve', () => {
  const ask = () => {
    const exec = broker.execAgent(['--template', 'asked'])
    let err = ''
    exec.stderr?.on('data', (piece) => {
      err += piece
    })
    const ended = collectOpen(exec)
    return { exec, ended, err: () => err }
  }
  const made = () => broker.made.length

  it('denied: exec says why and runs nothing, and nothing was made', async () => {
    const before = made()
    const { ended, err } = ask()
    const { id, kind, lease } = await broker.question()
    expect(kind).toBe('lease')
    expect(err()).toMatch(
      new RegExp(
        `^broker: waiting for approval ${id} \\((10m 0s|9m \\d+s) left\\): broker approve ${id}\n$`,
      ),
    )
    await broker.must(['deny', id, '--reason', 'not on a friday'])
    const { status, out, err: said } = await ended
    expect([status, out]).toEqual([125, ''])
    expect(said).toContain(`\nbroker: approval "${id}" was denied: not on a friday\nhint: `)
    expect(await broker.lease(lease)).toMatchObject({ state: 'denied' })
    expect(made()).toBe(before)
  })

  it('Ctrl-C: it lapses, and nobody can approve it any more', async () => {
    const before = made()
    const { exec, ended } = ask()
    const { id, lease } = await broker.question()
    exec.kill('SIGINT')
    expect((await ended).status).toBe(130)
    await until('nothing waits', async () => (await broker.approvals()).length === 0)
    expect(await broker.lease(lease)).toMatchObject({ state: 'lapsed' })
    const late = broker.terminal('approve', id)
    expect(await late.end()).not.toBe(0)
    expect(late.shown).toContain('is lapsed already')
    expect(made()).toBe(before)
  })

  it('kill -9 of the daemon: exec ends with 125, and the next daemon lets nobody approve it', async () => {
    const before = made()
    const { ended } = ask()
    const { id, lease } = await broker.question()
    const daemon = broker.daemon()
    await broker.kill(daemon)
    const { status, out, err } = await ended
    expect([status, out]).toEqual([125, ''])
    expect(err).toContain(
      '\nbroker: the daemon went away while the lease waited for approval\nhint: nothing ran',
    )
    expect(isAlive(daemon)).toBe(false)
    await broker.must(['daemon', 'start'])
    const late = broker.terminal('approve', id)
    const status2 = await late.end()
    expect(late.shown).toContain('lapsed')
    expect(status2).not.toBe(0)
    expect(await broker.lease(lease)).toMatchObject({ state: 'lapsed' })
    expect(made()).toBe(before)
  })

  it('approved: the task gets its lease and works', async () => {
    const { exec, ended } = ask()
    const { id } = await broker.question()
    const before = made()
    await broker.approveTyped(id, 'staging')
    const task = await AgentTask.of(exec, ended)
    expect(made()).toBe(before + 1)
    expect((await task.send(name())).text).toContain('"staging"')
    expect((await task.finish()).status).toBe(0)
  })

  it('in a protected environment it is asked for whatever writes by itself', async () => {
    const line = 'test -n "$BROKER_ACCESS_TOKEN" && echo RAN'
    const args = ['exec', '--env', 'guarded', '--', 'sh', '-c', line]
    const refused = broker.run(args)
    const first = await broker.question()
    await broker.must(['deny', first.id])
    expect(await refused).toMatchObject({ status: 125, out: '' })
    const asked = broker.run(args)
    const { id } = await broker.question()
    await broker.approveTyped(id, 'guarded')
    expect(await asked).toMatchObject({ status: 0, out: 'RAN\n' })
  })

  it('and nothing of all this has shown a secret', async () => {
    await broker.settled()
    expect(await broker.sightings()).toEqual([])
  })
})

function codeInError({ text = '{}' }: { readonly text?: string }): string | undefined {
  return JSON.parse(text).error?.code
}
