import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AwakeClock } from '../../src/client/awake-clock.ts'
import { callerOf } from '../../src/client/caller.ts'
import { compileCacheFolder } from '../../src/client/compile-cache.ts'
import { daemonEnvironment } from '../../src/client/daemon-environment.ts'
import { createClient } from '../../src/client/http.ts'
import { identityOf } from '../../src/client/process-identity.ts'
import { isOlder } from '../../src/client/version.ts'
import { resolveHome } from '../../src/lib/home.ts'

describe('the daemon’s environment', () => {
  it('is an allow-list: no credential of the caller, no passphrase', () => {
    const env = {
      HOME: '/h',
      PATH: '/bin',
      LC_TIME: 'C',
      XDG_RUNTIME_DIR: '/run/user/1',
      GITHUB_TOKEN: 'x',
      AWS_PROFILE: 'x',
      NODE_OPTIONS: '--require /x',
      LD_PRELOAD: '/x',
      BROKER_VAULT: 'file',
      BROKER_VAULT_PASSPHRASE: 'hunter2',
      BROKER_HANDLE: 'x',
      BROKER_HOME: 'rel',
      BROKER_VAULT_KEY_FILE: 'keys/k',
    }
    expect(daemonEnvironment(env, resolveHome({ BROKER_HOME: '/abs/rel' }), '/abs')).toEqual({
      HOME: '/h',
      PATH: '/bin',
      LC_TIME: 'C',
      XDG_RUNTIME_DIR: '/run/user/1',
      BROKER_VAULT: 'file',
      BROKER_HOME: '/abs/rel',
      BROKER_VAULT_KEY_FILE: '/abs/keys/k',
    })
  })
})

describe('as whom we call', () => {
  const home = resolveHome({ BROKER_HOME: '/x' })

  it('is never the operator inside a task', () => {
    for (const env of [{ BROKER_HANDLE: 'h' }, { BROKER_SOCKET: '/s' }]) {
      expect(() => callerOf(home, env)).toThrow(/this task has no "BROKER_/)
    }
    const caller = callerOf(home, { BROKER_HANDLE: 'h', BROKER_SOCKET: '/s' })
    expect([caller.inTask, caller.socket, caller.bearer().reveal()]).toEqual([true, '/s', 'h'])
  })

  it('keeps the operator key from a socket in a folder open to others', () => {
    const folder = mkdtempSync(join(tmpdir(), 'caller-'))
    const own = resolveHome({ BROKER_HOME: folder })
    mkdirSync(own.run, { recursive: true, mode: 0o700 })
    mkdirSync(own.config, { recursive: true, mode: 0o700 })
    writeFileSync(own.operatorKey, 'bko_x\n')
    expect(callerOf(own, {}).bearer().reveal()).toBe('bko_x')
    chmodSync(own.run, 0o755)
    expect(() => callerOf(own, {}).bearer()).toThrow(/is open to other users/)
    rmSync(folder, { recursive: true })
  })

  it('starts no daemon inside a task, nor where it must not', async () => {
    const env = { BROKER_HANDLE: 'h', BROKER_SOCKET: '/nonexistent/s' }
    const inside = createClient({ home, env, distFolder: '/nonexistent' })
    await expect(inside.request('listLeases')).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: 'nobody answers at the task\'s socket "/nonexistent/s"',
    })
    const asking = createClient({ home, env: {}, distFolder: '/nonexistent', start: false })
    await expect(asking.request('health')).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: 'the daemon is not running',
    })
  })

  it('tells when a daemon cannot start, and where to look', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'client-'))
    const own = resolveHome({ BROKER_HOME: folder })
    const client = createClient({
      home: own,
      env: { BROKER_HOME: folder },
      distFolder: '/nonexistent',
    })
    await expect(client.request('listLeases')).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: 'the daemon could not start',
      hint: `see the last lines of "${own.logFile}"`,
    })
    rmSync(folder, { recursive: true })
  })
})

describe('versions', () => {
  it('are compared as Semantic Versioning says', () => {
    const ascending = ['0.9.9', '0.10.0-rc.2', '0.10.0-rc.10', '0.10.0', '1.0.0', '10.0.0']
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) expect(isOlder(a, b), `${a} < ${b}`).toBe(i < j)
    }
  })

  it('that cannot be read are not older', () => {
    expect(isOlder('', '1.0.0')).toBe(false)
    expect(isOlder('latest', '1.0.0')).toBe(false)
  })
})

describe('the awake clock', () => {
  it('does not count the time in which we stood still', () => {
    let now = 0
    const clock = new AwakeClock(
      () => {},
      () => now,
    )
    for (let i = 0; i < 10; i++) {
      now += 500
      clock.tick()
    }
    expect(clock.elapsed()).toBe(5000)
    now += 3_600_000 // stopped for an hour
    clock.tick()
    expect(clock.elapsed()).toBeLessThanOrEqual(6000)
  })
})

describe('the identity of a process', () => {
  it('is the same for the same process, and none for what is not there', () => {
    expect(identityOf(process.pid)).toBe(identityOf(process.pid))
    expect(identityOf(process.pid)).not.toBe(identityOf(process.ppid))
    for (const pid of [0, -1, 1, 2 ** 30, Number.NaN]) expect(identityOf(pid)).toBeUndefined()
  })
})

describe('the compile cache', () => {
  it('lies in a private folder of the home, and not at all inside a task', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cache-'))
    const env = { BROKER_HOME: folder }
    expect(compileCacheFolder(env)).toBe(join(folder, 'state', 'compile-cache'))
    expect(compileCacheFolder({ ...env, BROKER_HANDLE: 'h' })).toBeUndefined()
    expect(compileCacheFolder({ BROKER_HOME: '/dev/null' })).toBeUndefined()
    rmSync(folder, { recursive: true })
  })
})
