import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BIN, isAlive, until } from '../fixtures/broker.ts'
import { Product } from '../fixtures/product.ts'

let broker: Product
beforeAll(() => {
  broker = new Product()
})
afterAll(() => broker.dispose())

const OWN = {
  AWS_CONFIG_FILE: '/home/u/.aws/config',
  GH_CONFIG_DIR: '/home/u/.config/gh',
  KUBECONFIG: '/home/u/.kube/config',
  DOCKER_CONFIG: '/home/u/.docker',
  PGPASSFILE: '/home/u/.pgpass',
}
const scrub = ['--isolation', 'scrub']
const show = (...names: string[]) => ['sh', '-c', `echo "${names.map((n) => `$${n}`).join(' ')}"`]
const base = () => join(broker.home, 'run', 'tools')
const left = () => (existsSync(base()) ? readdirSync(base()) : [])

describe('the places of tools in a task', () => {
  it('are none of the person’s, and none that another task had', async () => {
    const places = async () => {
      const { out } = await broker.exec(show(...Object.keys(OWN)), scrub, { env: OWN })
      return out.trim().split(' ')
    }
    const [one, other] = [await places(), await places()]
    expect(one).toHaveLength(Object.keys(OWN).length)
    for (const place of [...one, ...other]) expect(place.startsWith(`${base()}/`)).toBe(true)
    expect(one.some((place) => other.includes(place))).toBe(false)
  })

  it('stay the person’s where that is asked for, one by one', async () => {
    const flags = [...scrub, '--pass', 'KUBECONFIG', '--pass', 'PGPASSFILE']
    const { PGPASSFILE: _, ...env } = OWN
    const asked = show('KUBECONFIG', 'PGPASSFILE', 'GH_CONFIG_DIR')
    const { out } = await broker.exec(asked, flags, { env })
    expect(out).toMatch(/^\/home\/u\/\.kube\/config {2}\/.*\/run\/tools\/.*\/gh\n$/)
  })

  it('are in a folder that is there for the task alone, and gone after it', async () => {
    const script =
      'cd "$GH_CONFIG_DIR/.." && stat -c %a . && mkdir gh && echo key > gh/hosts.yml; pwd'
    const { status, out } = await broker.exec(['sh', '-c', script], scrub)
    const [mode, folder = ''] = out.trim().split('\n')
    expect([status, mode]).toEqual([0, '700'])
    expect(folder.startsWith(base())).toBe(true)
    expect(left()).toEqual([])
    expect(statSync(base()).mode & 0o777).toBe(0o700)
  })

  it('are gone after a command that could not run, and after a refusal', async () => {
    expect((await broker.exec(['no-such-command'], scrub)).status).toBe(127)
    const refused = await broker.run(['exec', '--env', 'nowhere', ...scrub, '--', 'true'])
    expect(refused.status).toBe(125)
    expect(left()).toEqual([])
  })

  it('of an exec that was killed go with the next one', async () => {
    const task = await broker.startTask({ flags: scrub })
    expect(left()).toHaveLength(1)
    task.exec.kill('SIGKILL')
    await task.ended
    await until('the command is gone', () => !isAlive(task.pid))
    expect(left()).toHaveLength(1)
    await broker.exec(['true'], scrub)
    expect(left()).toEqual([])
  })

  it('of a task that goes on are there until its lease is over', async () => {
    const flags = [...scrub, '--until-ttl', '--ttl', '2s']
    const { out } = await broker.exec(show('GH_CONFIG_DIR'), flags)
    const folder = join(out.trim(), '..')
    expect(existsSync(folder)).toBe(true)
    await until('its time is up', async () => {
      await broker.exec(['true'], scrub)
      return !existsSync(folder)
    })
  })

  it('of a task in a task are not in the broker’s own folder', async () => {
    const inner = `exec --quiet --env staging --isolation scrub -- sh -c 'echo "$GH_CONFIG_DIR"'`
    const { out } = await broker.exec(
      ['sh', '-c', `"$0" "$1" ${inner}`, process.execPath, BIN],
      scrub,
    )
    expect(out).toMatch(/\/broker-tools-\d+\/\d+-\w{6}\/gh\n$/)
    expect(existsSync(join(out.trim(), '..'))).toBe(false)
  })

  it('cannot be made: nothing runs, and nothing stays issued', async () => {
    mkdirSync(join(broker.home, 'run'), { recursive: true })
    const other = new Product()
    try {
      await other.run(['daemon', 'start'])
      writeFileSync(join(other.home, 'run', 'tools'), '')
      const { status, out, err } = await other.exec(['echo', 'RAN'], scrub)
      expect([status, out]).toEqual([125, ''])
      expect(err).toMatch(/no folder for the task can be made in ".*\/run\/tools"\nhint: see that/)
      await until('nothing is live', async () =>
        (await other.leases()).every(({ state }) => state === 'revoked' || state === 'failed'),
      )
    } finally {
      await other.dispose()
    }
  })
})

describe('--dry-run', () => {
  it('names them, but not those that are passed, and makes none', async () => {
    const flags = [...scrub, '--dry-run', '--pass', 'KUBECONFIG']
    const { status, out } = await broker.exec(['true'], flags, { env: OWN })
    expect(status).toBe(0)
    expect(out).toContain('\n  AWS_CONFIG_FILE\n')
    expect(out).not.toContain('\n  KUBECONFIG\n')
    expect(out).not.toContain('/home/u/.aws')
    expect(left()).toEqual([])
  })
})
