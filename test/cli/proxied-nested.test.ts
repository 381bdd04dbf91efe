import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { proc } from '../fixtures/product.ts'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import type { AgentTask } from '../fixtures/proxied-agent.ts'
import { API, codeOf, nameOf } from '../fixtures/proxied-requests.ts'

let broker: ProxiedProduct
beforeAll(async () => {
  broker = await ProxiedProduct.start()
})
afterAll(() => broker?.dispose())
afterEach(() => broker.endTasks())

const name = () => nameOf(broker.cloud.ids.staging)

/** A line in which `broker` is this build. */
const shell = (task: AgentTask, line: string, env: NodeJS.ProcessEnv = {}) =>
  task.shell(line, { PATH: `${broker.installed()}:${process.env['PATH']}`, ...env })

const ASK = `
curl -sS -H 'content-type: application/json' -H "project-access-token: $RAILWAY_TOKEN" -d "$BODY" ${API}
echo; echo "$BROKER_LEASE $RAILWAY_TOKEN $HTTPS_PROXY"`

describe('broker exec inside a proxied task', () => {
  it('gets nothing that the task does not have, and no other place', async () => {
    const task = await broker.startAgent(['--template', 'careful'])
    const made = broker.made.length
    const more = await shell(
      task,
      'broker exec --isolation scrub --env staging --template work -- true',
    )
    expect(more.code).toBe(125)
    expect(more.err).toMatch(/^broker: this task may not variableUpsert, .*on "railway"\nhint: /)
    const elsewhere = await shell(task, 'broker exec --isolation scrub --env guarded -- true')
    expect(elsewhere.code).toBe(125)
    expect(elsewhere.err).toContain('broker: this task is for "staging", not for "guarded"\n')
    expect(broker.made).toHaveLength(made)
    await task.finish()
  })

  it('has a proxy and a token of its own, and each knows its own phantom alone', async () => {
    const task = await broker.startAgent()
    const line = 'broker exec --isolation scrub --env staging --ttl 5m -- sh -c "$ASK"'
    const { code, out = '', err } = await shell(task, line, { ASK, BODY: name().body })
    expect(err).toMatch(/broker: revoked in \d+ ms\n$/)
    expect(code).toBe(0)
    const [answer = '', facts = ''] = out.split('\n')
    expect(answer).toContain('"name":"staging"')
    const [lease = '', phantom = '', proxy] = facts.split(' ')
    expect(lease).not.toBe(task.lease)
    expect(phantom).not.toBe(task.phantom)
    expect(proxy).not.toBe(task.env['HTTPS_PROXY'])
    expect(await broker.lease(lease)).toMatchObject({ state: 'revoked', parent: task.lease })
    expect(broker.isTokenAlive(lease)).toBe(false)
    // The task goes on; what the other held is nothing at its proxy.
    expect((await task.send(name())).text).toContain('"staging"')
    const other = { ...name().headers, 'project-access-token': phantom }
    expect(codeOf(await task.send({ ...name(), headers: other }))).toBe('foreign_credential')
    await task.finish()
    expect([broker.left(task.phantom), broker.left(phantom)]).toEqual([false, false])
  })

  it('ends with the task around it', async () => {
    const task = await broker.startAgent()
    const within = shell(task, 'broker exec --isolation scrub --env staging -- sleep 600')
    let inner = ''
    await until('the inner one is in use', async () => {
      const found = (await broker.facts()).find(({ parent, state }) => {
        return parent === task.lease && state === 'active'
      })
      inner = found?.id ?? ''
      return found !== undefined
    })
    expect(broker.isTokenAlive(inner)).toBe(true)
    await broker.must(['revoke', task.lease])
    const { state, endReason } = await broker.lease(inner)
    expect([state, endReason]).toEqual(['revoked', 'parent_ended'])
    expect(broker.isTokenAlive(inner)).toBe(false)
    const sleeper = broker.processes().find((pid) => {
      return proc(pid, 'cmdline').split('\0').slice(0, 2).join(' ').endsWith('sleep 600')
    })
    await broker.kill(sleeper)
    const { code, err } = await within
    expect(code).toBe(137)
    expect(err).toContain(`broker: lease ${inner} ended early (the task around it ended)`)
    await task.finish()
  })

  it('has shown no secret to anybody', async () => {
    await broker.settled()
    expect(await broker.sightings()).toEqual([])
  })
})
