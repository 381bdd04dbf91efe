import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Wired } from './wire.ts'

let broker: Wired
beforeEach(async () => {
  broker = new Wired()
  await broker.must(['daemon', 'start'])
})
afterEach(() => broker?.dispose())

/** Addresses of TCP sockets at which a process listens (proc(5), /proc/net/tcp: state 0A). */
function listening(pid: number): string[] {
  const mine = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      return '' // closed meanwhile
    }
  })
  return ['tcp', 'tcp6']
    .flatMap((file) => readFileSync(`/proc/net/${file}`, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words[3] === '0A' && mine.includes(`socket:[${words[9]}]`))
    .map((words) => words[1] ?? '')
}

describe.skipIf(process.platform !== 'linux')('the daemon’s process', () => {
  it('opens no debugger for a signal', async () => {
    const pid = broker.daemon()
    for (let round = 0; round < 50; round++) {
      process.kill(pid, 'SIGUSR1')
      expect((await broker.ask({ path: '/healthz' })).body.pid).toBe(pid)
      expect(listening(pid)).toEqual([])
    }
    await broker.must(['daemon', 'stop'])
    expect(readFileSync(join(broker.home, 'state/daemon.log'), 'utf8')).not.toMatch(/debugger/i)
  })

  it('puts none of its memory into a core file', () => {
    const filter = readFileSync(`/proc/${broker.daemon()}/coredump_filter`, 'utf8')
    expect(Number.parseInt(filter, 16)).toBe(0)
  })

  it('outlives a closed terminal', async () => {
    const pid = broker.daemon()
    process.kill(pid, 'SIGHUP')
    await broker.must(['exec', '--env', 'staging', '--', 'true'])
    expect(broker.daemon()).toBe(pid)
  })

  it('is not in the session or the folder of the shell that started it', () => {
    const pid = broker.daemon()
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    expect(Number(session)).toBe(pid)
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(join(broker.home, 'state'))
  })
})
