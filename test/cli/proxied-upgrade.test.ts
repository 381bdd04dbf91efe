import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { BIN, collect, isAlive, until } from '../fixtures/broker.ts'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import { nameOf } from '../fixtures/proxied-requests.ts'

let broker: ProxiedProduct
beforeAll(async () => {
  broker = await ProxiedProduct.start()
  await broker.must(['daemon', 'stop'])
})
afterAll(() => broker?.dispose())
afterEach(() => broker.endTasks())

const name = () => nameOf(broker.cloud.ids.staging)
const running = async () => (await broker.json<{ version: string }>(['daemon', 'status'])).version

/** The same product that calls itself 0.0.1. */
function older(): string {
  const root = join(broker.folder, 'older')
  cpSync(join(BIN, '..', '..'), root, { recursive: true })
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || !/\.(c?js|json)$/.test(path)) continue
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replaceAll(`"${version}"`, '"0.0.1"'))
  }
  return join(root, 'bin', 'run.js')
}

describe('an older daemon with a proxied lease', () => {
  it('stays while only commands of its own task ask, and goes when its person asks with a newer one', async () => {
    const old = older()
    await collect(broker.spawnShell(`exec "$0" "${old}" daemon start`, [process.execPath]))
    expect(await running()).toBe('0.0.1')
    const daemon = broker.daemon()
    // A newer exec with a proxied lease lets it be: its own proxy would go with it.
    const task = await broker.startAgent()
    expect(await running()).toBe('0.0.1')
    const env = { PATH: `${broker.installed()}:${process.env['PATH']}` }
    const inside = await task.shell(
      'broker tokens --json && broker exec --isolation scrub --env staging -- true',
      env,
    )
    expect([inside.code, inside.out]).toEqual([0, expect.stringContaining(task.lease)])
    expect(broker.daemon()).toBe(daemon)
    expect((await task.send(name())).text).toContain('"staging"')

    // Any other command of the newer version replaces it. The task loses its proxy, and is ended.
    await broker.must(['tokens'])
    await until('the old one is gone', () => !isAlive(daemon))
    expect(await running()).not.toBe('0.0.1')
    const { status, err } = await task.ended
    expect(status).toBe(143)
    expect(err).toContain('ended early (its proxy ended with the daemon)')
    expect(isAlive(task.pid)).toBe(false)
    await broker.settled()
    expect(await broker.lease(task.lease)).toMatchObject({ endReason: 'proxy_lost' })
    expect(broker.isTokenAlive(task.lease)).toBe(false)
    expect(await broker.sightings()).toEqual([])
  })
})

describe('broker daemon stop under a proxied task', () => {
  it('ends its proxy first, so the task is ended and its token goes with the next daemon', async () => {
    const task = await broker.startAgent()
    await broker.must(['daemon', 'stop'])
    const { status, err } = await task.ended
    expect(status).toBe(143)
    expect(err).toContain('ended early (its proxy ended with the daemon)')
    await broker.settled()
    expect(broker.isTokenAlive(task.lease)).toBe(false)
  })
})
