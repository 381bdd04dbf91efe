import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { collect, TestBroker, until } from '../fixtures/broker.ts'

let broker: TestBroker
beforeAll(async () => {
  broker = new TestBroker()
  await broker.exec(['true'])
})
afterAll(() => broker.dispose())

/** Prints each signal it gets, and ends with 7 when its input ends. */
const COUNTER = `
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGALRM'])
    process.on(signal, () => console.log(signal))
  process.stdin.on('end', () => process.exit(7)).resume()
  console.log('ready')
`

describe('a signal sent to exec', () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2', 'SIGALRM'] as const) {
    it(`reaches the child once: ${signal}`, async () => {
      const child = broker.spawn(
        ['exec', '--env', 'staging', '--', process.execPath, '-e', COUNTER],
        { stdio: 'pipe', detached: true }, // no terminal: nobody but us delivers it
      )
      let out = ''
      child.stdout?.on('data', (chunk) => {
        out += chunk
      })
      await until('the child is ready', () => out.includes('ready'))
      child.kill(signal)
      await until('the child has it', () => out.includes(signal))
      const result = await collect(child)
      expect(out.split(signal)).toHaveLength(2)
      expect(result.status).toBe(7)
      expect(result.err).toMatch(/broker: revoked in \d+ ms\n$/)
    })
  }

  it('ends a child that does not catch it, and exec says how', async () => {
    const script = 'echo ready; exec sleep 60'
    const child = broker.spawn(['exec', '--env', 'staging', '--', 'sh', '-c', script], {
      stdio: 'pipe',
    })
    if (child.stdout) await once(child.stdout, 'data')
    child.kill('SIGTERM')
    const result = await collect(child)
    expect(result.status).toBe(143)
    expect(result.err).toMatch(/broker: revoked in \d+ ms\n$/)
  })

  it('while exec waits for its lease ends exec, and nothing runs', async () => {
    const pid = broker.daemonPid()
    if (pid === undefined) throw new Error('there is no daemon')
    process.kill(pid, 'SIGSTOP')
    try {
      const child = broker.spawn(['exec', '--env', 'staging', '--', 'echo', 'RAN'], {
        stdio: 'pipe',
      })
      // Its handlers are in place when it holds a socket; SIGTERM before that ends it just the same.
      await new Promise((resolve) => setTimeout(resolve, 300))
      child.kill('SIGTERM')
      const result = await collect(child)
      expect(result.status).toBe(143)
      expect(result.out).toBe('')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await until('nothing is live', async () =>
      (await broker.leases()).every((lease) => lease.state !== 'active'),
    )
  })
})
