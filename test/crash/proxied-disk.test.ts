import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import type { AgentTask, Told } from '../fixtures/proxied-agent.ts'
import { codeOf, nameOf } from '../fixtures/proxied-requests.ts'

// A disk that is really full: a small tmpfs, which only root may mount.
const canMount = process.platform === 'linux' && process.getuid?.() === 0 && mounts()
if (!canMount) console.warn('SKIPPED: a full disk needs a tmpfs, which only root may mount')

describe.skipIf(!canMount)('on a full disk', () => {
  let broker: ProxiedProduct
  beforeAll(async () => {
    broker = await ProxiedProduct.start(({ home }) => {
      mkdirSync(home, { mode: 0o700 })
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=0700', 'tmpfs', home])
    })
  })
  afterAll(async () => {
    await broker?.killAll()
    if (broker) execFileSync('umount', ['-l', broker.home])
    await broker?.dispose()
  })

  const name = () => nameOf(broker.cloud.ids.staging)
  /** The task's own requests: the broker asks the cloud about other things meanwhile, such as left tokens. */
  const arrivals = () =>
    broker.cloud.record.filter(({ body }) => body.includes('{environment(id:$id){name}}')).length
  const ballast = () => join(broker.home, 'ballast')

  /** Until not one entry or line of the log more fits, also not in room that was taken before. */
  async function exhaust(task: AgentTask): Promise<Told> {
    let refusals = 0
    for (let tries = 0; tries < 400; tries++) {
      fill(ballast())
      const arrived = arrivals()
      const told = await task.send(name())
      expect(arrivals()).toBe(told.status === 200 ? arrived + 1 : arrived)
      if (told.status === 200) refusals = 0
      if (told.status !== 200 && ++refusals === 15) return told
    }
    throw new Error('it went on and on')
  }

  it('a request that cannot be recorded is refused, and the lease ends all the same', async () => {
    const task = await broker.startAgent()
    const daemon = broker.daemon()
    expect((await task.send(name())).status).toBe(200)
    const told = await exhaust(task)
    expect([told.status, codeOf(told)]).toEqual([403, 'operation_denied'])
    expect(told.text).toMatch(/no room to record this|the disk is full: what cannot be recorded/)
    const refused = await broker.exec(['echo', 'RAN'])
    expect(refused).toMatchObject({ status: 125, out: '' })
    expect(refused.err).toMatch(/^broker: (the disk is full|no room to record this)/)
    const { status } = await task.finish()
    expect(status).toBe(0)
    expect(broker.daemon()).toBe(daemon)
    // At the cloud at once, in the database when there is room.
    expect(broker.isTokenAlive(task.lease)).toBe(false)
    rmSync(ballast())
    await broker.settled()
    expect(await broker.lease(task.lease)).toMatchObject({ state: 'revoked' })
    await broker.must(['audit', 'verify'])
  })

  it('and a daemon that dies then: the next one ends the lease when there is room', async () => {
    const task = await broker.startAgent()
    await exhaust(task)
    await broker.kill(broker.daemon())
    const { status } = await task.ended
    expect(status).toBe(143)
    rmSync(ballast())
    await broker.must(['daemon', 'start'])
    await until('the token is dead', () => !broker.isTokenAlive(task.lease))
    await broker.settled()
    expect(await broker.lease(task.lease)).toMatchObject({ endReason: 'proxy_lost' })
    expect(await broker.sightings()).toEqual([])
  })
})

function mounts(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function fill(path: string): void {
  const file = openSync(path, 'a')
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    const block = Buffer.alloc(size, 0x2e)
    try {
      for (;;) if (writeSync(file, block) < size) break
    } catch {
      // that much does not fit any more
    }
  }
  closeSync(file)
}
