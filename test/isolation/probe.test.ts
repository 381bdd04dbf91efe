import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { AS_NOBODY, commandFor, environmentOf, finish, launch, type Run } from './run.ts'
import { makeWorld, type World } from './world.ts'

let world: World

describe.runIf(hasBubblewrap()).each(PERSONS)('the probe, as %s', (person: Person) => {
  const run: Run = {
    level: 'confine',
    person,
    path: '/bin/sh',
    args: ['-c', 'echo ran'],
    probe: true,
  }
  beforeAll(() => {
    world = makeWorld(person)
  })
  afterAll(() => world.remove())

  it('says that there are no user namespaces, where there are none', async () => {
    const without =
      'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all "$@"'
    const command = commandFor(world, { ...run, person: 'self' })
    const before = person === 'nobody' ? AS_NOBODY : []
    const [program = '', ...args] = [...before, 'unshare', '-Ur', 'sh', '-c', without, 'sh']
    const child = spawn(program, [...args, ...command], {
      cwd: world.project,
      env: environmentOf(world),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { status, stdout, stderr } = await finish(child)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('user namespaces are not allowed here')
  })

  it('says that bubblewrap is missing, where it is', async () => {
    const { status, stderr } = await launch(world, {
      ...run,
      facts: { bubblewrap: '/nonexistent/bwrap' },
    })
    expect(status).toBe(1)
    expect(stderr).toContain('bubblewrap (bwrap) is not installed')
  })

  it('finds that it works, and then it does', async () => {
    expect(await launch(world, run)).toEqual({ status: 0, stdout: 'ran\n', stderr: '' })
  })
})
