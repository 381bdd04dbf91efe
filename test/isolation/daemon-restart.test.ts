import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { Product, TOKENS_ONLY } from '../fixtures/product.ts'
import { hasBubblewrap } from './available.ts'

/** Asks who it is at its socket for each line of its input. */
const ASKING = `echo ready
while read -r line; do
  curl -sS --unix-socket "$BROKER_SOCKET" -H "Authorization: Bearer $BROKER_HANDLE" \\
    -w ' %{http_code}\\n' http://broker/v1/leases 2>&1 | tail -n 1 | sed 's/.* //'
done`

describe.skipIf(!hasBubblewrap())('a task behind walls', () => {
  let broker: Product
  beforeAll(async () => {
    broker = new Product()
    await broker.prepare(TOKENS_ONLY)
  })
  afterAll(() => broker?.dispose())

  it('finds the daemon again that was started in place of one that died', async () => {
    const cwd = join(broker.folder, 'work')
    mkdirSync(cwd)
    const exec = broker.spawn(
      ['exec', '--env', 'staging', '--isolation', 'mask', '--', 'sh', '-c', ASKING],
      { stdio: 'pipe', cwd },
    )
    let out = ''
    exec.stdout?.on('data', (bytes: Buffer) => {
      out += bytes
    })
    let err = ''
    exec.stderr?.on('data', (bytes: Buffer) => {
      err += bytes
    })
    const ask = async () => {
      const before = out.split('\n').length
      exec.stdin?.write('\n')
      await until('there is an answer', () => out.split('\n').length > before)
      return out.trimEnd().split('\n').at(-1)
    }
    const ended = new Promise((done) => exec.once('close', done))
    await until('the task is ready', () => out.includes('ready') || exec.exitCode !== null)
    expect(err).toContain('isolation mask')
    expect(await ask()).toBe('200')
    const first = broker.daemon()
    await broker.kill(first)
    await until('another serves', () => {
      const found = broker.daemonPid()
      return found !== undefined && found !== first
    })
    await until('it answers the task', async () => (await ask()) === '200')
    await broker.must(['revoke', '--env', 'staging'])
    expect(await ask()).not.toBe('200')
    exec.stdin?.end()
    await ended
  })
})
