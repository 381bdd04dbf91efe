import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { failing, freshHome, scriptedDaemon } from './commands-product.ts'
import { grant, lease } from './commands-samples.ts'
import { CTRL_C, CTRL_D, ENTER, hasTerminal, Terminal } from './commands-terminal.ts'

const ESCAPE = '\u001b'
const CANARY = 'canary-5f2e'

describe.skipIf(!hasTerminal())('at a terminal', () => {
  let home: ReturnType<typeof freshHome>
  let daemon: Awaited<ReturnType<typeof scriptedDaemon>>

  beforeEach(() => {
    home = freshHome()
  })
  afterEach(async () => {
    await daemon.close()
    home.remove()
  })
  const start = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    new Terminal(args, { home: home.path, env })

  const providers = [
    {
      name: 'postgres',
      mode: 'native',
      capability: 'named',
      secretPrompt: 'admin URL',
      operations: [],
    },
  ]
  const old = {
    name: 'pg',
    provider: 'postgres',
    settings: {},
    createdAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    liveLeases: 2,
  }
  const connecting = {
    listProviders: () => ({ body: { providers } }),
    listConnections: () => ({ body: { connections: [old] } }),
    connect: () => ({
      status: 201,
      body: { connection: old, findings: [], narrowness: [], replaced: true },
    }),
  }
  const check = {
    ok: true,
    issues: [],
    baseVersion: 1,
    changes: [{ effect: 'widens', message: 'x may now DELETE' }],
  }
  const applying = {
    checkTemplates: () => ({ body: check }),
    applyTemplates: () => ({ body: { version: 2, changes: [], issues: [] } }),
  }

  describe('Ctrl-C at a question changes nothing and ends with 130', () => {
    const questions = [
      {
        name: 'the secret',
        args: ['connect', 'postgres', 'new'],
        script: connecting,
        shows: 'admin URL',
        route: 'connect',
      },
      {
        name: 'replacing',
        args: ['connect', 'postgres', 'pg'],
        script: connecting,
        shows: 'replace connection "pg"',
        route: 'connect',
      },
      {
        name: 'applying',
        args: ['template', 'apply', 'f.yaml'],
        script: applying,
        shows: '1 of these widen',
        route: 'applyTemplates',
      },
      {
        name: 'the passphrase',
        args: ['connections'],
        script: { listConnections: () => failing('vault_locked', 'locked') },
        shows: 'passphrase',
        route: 'unlockVault',
      },
    ] as const
    const keys = [
      { key: 'Ctrl-C', sends: CTRL_C },
      { key: 'Ctrl-D', sends: CTRL_D },
    ]
    const cases = questions.flatMap((question) => keys.map((key) => ({ ...question, ...key })))

    test.each(cases)('$key at $name', async ({ args, script, shows, sends, route }) => {
      daemon = await scriptedDaemon(home.path, script)
      writeFileSync(join(home.path, 'f.yaml'), 'version: 1')
      const terminal = start(args)
      await terminal.until(shows)
      terminal.type(sends)
      expect(await terminal.end()).toBe(130)
      expect(terminal.shown).toContain('interrupted')
      expect(terminal.shown).not.toContain('hint:')
      expect(daemon.asked(route)).toEqual([])
    })
  })

  test('"no" to a question changes nothing and ends with 1', async () => {
    daemon = await scriptedDaemon(home.path, connecting)
    const terminal = start(['connect', 'postgres', 'pg'])
    await terminal.until('2 live leases')
    terminal.type(ENTER)
    expect(await terminal.end()).toBe(1)
    expect(terminal.shown).toContain('nothing was changed')
    expect(daemon.asked('connect')).toEqual([])
  })

  test('a typed secret is sent and never shown', async () => {
    daemon = await scriptedDaemon(home.path, connecting)
    const terminal = start(['connect', 'postgres', 'pg'])
    await terminal.until('replace connection')
    terminal.type(`y${ENTER}`)
    await terminal.until('admin URL')
    terminal.type(`${CANARY}${ENTER}`)
    expect(await terminal.end()).toBe(0)
    expect(daemon.asked('connect')[0]?.body).toMatchObject({ name: 'pg', secret: CANARY })
    expect(terminal.shown).toContain('replaced pg (postgres)')
    expect(terminal.shown).not.toContain(CANARY)
  })

  test('template apply asks, then applies what was shown', async () => {
    daemon = await scriptedDaemon(home.path, applying)
    writeFileSync(join(home.path, 'f.yaml'), 'version: 1')
    const terminal = start(['template', 'apply', 'f.yaml'])
    await terminal.until('apply?')
    terminal.type(`y${ENTER}`)
    expect(await terminal.end()).toBe(0)
    expect(terminal.shown).toContain('+ x may now DELETE')
    expect(daemon.asked('applyTemplates')[0]?.body).toEqual({ text: 'version: 1', baseVersion: 1 })
  })

  test('a locked vault is opened with the passphrase that is typed', async () => {
    let open = false
    daemon = await scriptedDaemon(home.path, {
      listConnections: () =>
        open ? { body: { connections: [old] } } : failing('vault_locked', 'locked'),
      unlockVault: () => {
        open = true
        return { body: {} }
      },
    })
    const terminal = start(['connections'])
    await terminal.until('passphrase')
    terminal.type(`${CANARY}${ENTER}`)
    expect(await terminal.end()).toBe(0)
    expect(daemon.asked('unlockVault')[0]?.body).toEqual({ passphrase: CANARY })
    expect(terminal.shown).toContain('CONNECTION')
    expect(terminal.shown).not.toContain(CANARY)
  })

  test('inside a task nobody is asked for a passphrase', async () => {
    daemon = await scriptedDaemon(home.path, {
      listLeases: () => failing('vault_locked', 'it is locked'),
    })
    const socket = join(home.path, 'run/broker.sock')
    const terminal = start(['tokens'], { BROKER_HANDLE: 'handle', BROKER_SOCKET: socket })
    expect(await terminal.end()).toBe(1)
    expect(terminal.shown).toContain('it is locked')
    expect(terminal.shown).not.toContain('passphrase')
  })

  const stuck = lease({
    state: 'stuck',
    actor: { command: `evil${ESCAPE}]0;title\u0007`, pid: 1 },
    grants: [
      grant({
        state: 'stuck',
        lastError: 'server is down',
        possiblyLiveUntil: '2999-01-01T00:00:00.000Z',
      }),
    ],
  })
  const listing = { listLeases: () => ({ body: { leases: [stuck], nextCursor: 'more' } }) }

  test('tokens is a table with a heading; trouble stands out and names are harmless', async () => {
    daemon = await scriptedDaemon(home.path, listing)
    const terminal = start(['tokens'])
    expect(await terminal.end()).toBe(0)
    expect(stripVTControlCharacters(terminal.shown)).toMatch(
      /^LEASE +STATE +ENV +TEMPLATE +WHO +COMMAND +AGE +LEFT +GRANTS/,
    )
    expect(terminal.shown).toContain(`${ESCAPE}[31m! db possibly live until 2999-01-01`)
    expect(terminal.shown).toContain('! db stuck, still retried: server is down')
    expect(terminal.shown).toContain('only the newest 1 are shown')
    expect(terminal.shown).not.toContain(`${ESCAPE}]`)
    expect(daemon.asked('listLeases').length).toBeLessThanOrEqual(2)
  })

  test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }])('%o takes the colour away', async (env) => {
    daemon = await scriptedDaemon(home.path, listing)
    const terminal = start(['tokens'], env)
    expect(await terminal.end()).toBe(0)
    expect(terminal.shown).toContain('LEASE')
    expect(terminal.shown).not.toContain(ESCAPE)
  })

  test('tokens --watch redraws in place and Ctrl-C gives the screen back, with 0', async () => {
    let round = 0
    daemon = await scriptedDaemon(home.path, {
      listLeases: () => {
        const leases = round++ === 0 ? [lease()] : []
        return { body: { leases, nextCursor: null } }
      },
    })
    const terminal = start(['tokens', '--watch'])
    await terminal.until('1 live')
    await terminal.until('0 live')
    await terminal.until('no live tokens')
    terminal.type(CTRL_C)
    expect(await terminal.end()).toBe(0)
    expect(terminal.shown).toContain(`${ESCAPE}[?1049h`)
    expect(terminal.shown.endsWith(`${ESCAPE}[?1049l`)).toBe(true)
    expect(terminal.shown).not.toContain(`${ESCAPE}[2J`)
  })

  test('a wait shows what is waited for, and is erased before the answer', async () => {
    const answer = Promise.withResolvers<void>()
    daemon = await scriptedDaemon(home.path, {
      verifyAudit: async () => {
        await answer.promise
        return { body: { ok: true, entries: 3, head: null, bad: null } }
      },
    })
    const terminal = start(['audit', 'verify'])
    await terminal.until('checking every entry 1s')
    answer.resolve()
    expect(await terminal.end()).toBe(0)
    const last = terminal.shown.slice(terminal.shown.lastIndexOf('checking every entry'))
    // The line is cleared, from its first column, before the answer is written.
    const cleared = last.indexOf(`${ESCAPE}[1G${ESCAPE}[0K`)
    expect(cleared).toBeGreaterThan(-1)
    expect(last.indexOf('intact')).toBeGreaterThan(cleared)
  })
})
