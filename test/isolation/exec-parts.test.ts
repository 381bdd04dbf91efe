import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ProxyView, TaskPlaceView } from '../../src/api/types.ts'
import { BrokerError } from '../../src/errors.ts'
import { InsideWalls } from '../../src/exec/inside-walls.ts'
import { shortfallLines, withShortfall } from '../../src/exec/shortfall.ts'
import type { FileView } from '../../src/launch/isolate/file-view.ts'
import { findBubblewrap } from '../../src/launch/isolate/find-bubblewrap.ts'
import { projectFolder } from '../../src/launch/isolate/prepare.ts'
import type { Probed } from '../../src/launch/isolate/probe.ts'
import { reachLevel } from '../../src/launch/isolate/reach.ts'
import { rememberedFiles } from '../../src/launch/isolate/remembered-files.ts'
import { verdictsIn } from '../../src/launch/isolate/verdicts.ts'
import { hostsText, waysOut } from '../../src/launch/isolate/ways-out.ts'
import { writablePaths } from '../../src/launch/isolate/work-tree.ts'
import { fakeFiles } from './fake-files.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'exec-parts-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the level that is reached', () => {
  const failing = (...levels: string[]) => {
    return async (level: string): Promise<Probed> =>
      levels.includes(level)
        ? { works: false, reason: `no ${level}`, hint: `get ${level}`, said: '' }
        : { works: true }
  }

  it.each(['mask', 'confine'] as const)('is never less than the one that was named: %s', (level) =>
    expect(reachLevel(level, failing(level))).rejects.toMatchObject({
      code: 'isolation_unavailable',
      message: `isolation "${level}" is not possible here: no ${level}`,
      hint: `get ${level}`,
    }),
  )

  it('left open is the strongest that works, with what the strongest of all lacks', async () => {
    expect(await reachLevel('auto', failing())).toEqual({ level: 'confine', shortfall: undefined })
    const shortfall = { reason: 'no confine', hint: 'get confine' }
    expect(await reachLevel('auto', failing('confine'))).toEqual({ level: 'mask', shortfall })
    const none = await reachLevel('auto', failing('confine', 'mask'))
    expect(none).toEqual({ level: 'scrub', shortfall })
    expect(shortfallLines(none as Parameters<typeof shortfallLines>[0])).toEqual([
      'isolation scrub and not confine: no confine (get confine)',
    ])
  })

  it("stands in the daemon's refusal with what is missing, and in no other error", () => {
    const shortfall = { reason: 'no bubblewrap', hint: 'install it' }
    const low = new BrokerError('isolation_unavailable', 'too low', {
      hint: 'x',
      details: { a: 1 },
    })
    expect(withShortfall(low, shortfall)).toMatchObject({
      message: 'too low: no bubblewrap',
      hint: 'install it',
      details: { a: 1 },
    })
    expect(withShortfall(low, undefined)).toBe(low)
    const denied = new BrokerError('denied', 'no', { hint: 'x' })
    expect(withShortfall(denied, shortfall)).toBe(denied)
  })
})

describe('what a probe has shown', () => {
  const file = () => join(folder, 'isolation.json')
  const bubblewrap = () => join(folder, 'bwrap')
  const verdicts = (changes = {}) =>
    verdictsIn(file(), { bubblewrap: bubblewrap(), version: '1.0.0', uid: 1000, ...changes })
  beforeAll(() => writeFileSync(bubblewrap(), 'program'))

  it('is not believed of another version, person or bubblewrap, nor after it was forgotten', () => {
    expect(verdicts().works('confine')).toBe(false)
    verdicts().remember('confine')
    expect(verdicts().works('confine')).toBe(true)
    expect(verdicts().works('mask')).toBe(false)
    expect(verdicts({ version: '1.0.1' }).works('confine')).toBe(false)
    expect(verdicts({ uid: 0 }).works('confine')).toBe(false)
    writeFileSync(bubblewrap(), 'another program')
    expect(verdicts().works('confine')).toBe(false)
    verdicts().remember('confine')
    verdicts().remember('mask')
    expect([verdicts().works('confine'), verdicts().works('mask')]).toEqual([true, true])
    verdicts().forget()
    expect(verdicts().works('confine')).toBe(false)
  })

  it('is nothing where the file cannot be read or written', () => {
    for (const text of ['', '[]', '{"confine":1}', 'null', '"x"']) {
      writeFileSync(file(), text)
      expect(verdicts().works('confine')).toBe(false)
    }
    const nowhere = verdictsIn('/nonexistent/x/isolation.json', {
      bubblewrap: bubblewrap(),
      version: '1',
      uid: 0,
    })
    nowhere.remember('confine')
    expect(nowhere.works('confine')).toBe(false)
  })

  it('is kept for its owner alone', () => {
    verdicts().remember('mask')
    expect(readFileSync(file(), 'utf8')).toContain('1.0.0 1000 ')
  })
})

it('finds bubblewrap in PATH, but in no relative folder and not in the work tree', () => {
  const put = (name: string) => {
    mkdirSync(join(folder, name), { recursive: true })
    writeFileSync(join(folder, name, 'bwrap'), '')
    chmodSync(join(folder, name, 'bwrap'), 0o755)
    return join(folder, name)
  }
  const tree = join(folder, 'tree')
  const inTree = put('tree/bin')
  const usual = put('usual')
  expect(findBubblewrap({ PATH: `${inTree}:bin::${usual}` }, tree)).toBe(join(usual, 'bwrap'))
  expect(findBubblewrap({ PATH: `${inTree}:usual:.` }, tree)).toBeUndefined()
})

it('looks at each file once', () => {
  let looks = 0
  const files = rememberedFiles({
    ...fakeFiles({ '/a': 'x' }),
    entry: () => {
      looks++
      return undefined
    },
  } as FileView)
  expect([files.entry('/a'), files.entry('/a'), files.text('/a')]).toEqual([
    undefined,
    undefined,
    'x',
  ])
  expect(looks).toBe(1)
})

it('lets a link be written only where the link itself was named', () => {
  const files = fakeFiles({ '/p/.envrc': '-> other', '/p/other': '', '/l': '-> p' })
  expect(writablePaths(files, ['/p/other'])).toEqual(['/p/other'])
  expect(writablePaths(files, ['/l/.envrc'])).toEqual(['/p/.envrc', '/p/other'])
  expect(writablePaths(files, ['/p/not/there', '/x'])).toEqual(['/p/not/there', '/x'])
})

it("gives each work tree a folder of caches that no other's name can be", () => {
  const names = ['/a/b', '/a%2Fb', `/${'x'.repeat(300)}`, `/${'x'.repeat(301)}`].map((path) =>
    projectFolder('/caches', path),
  )
  expect(new Set(names).size).toBe(names.length)
  for (const name of names) expect(name).toMatch(/^\/caches\/[^/]{1,255}$/)
})

it('is nothing without a daemon that holds its place ready', () => {
  const ground = { files: fakeFiles({}) } as ConstructorParameters<typeof InsideWalls>[0]['ground']
  const more = { bubblewrap: '/bwrap', verdicts: undefined, ahead: true }
  const terms = { shortfall: undefined, ground, ...more }
  const walls = new InsideWalls({ level: 'confine', ...terms })
  const held = { proxy: null, trust: undefined, folders: [], environment: {} }
  expect(() => walls.raise({ place: null, ...held })).toThrow(
    expect.objectContaining({
      code: 'isolation_unavailable',
      message: 'the daemon holds nothing ready for "confine"',
    }),
  )
})

describe('the ways out of a confined task', () => {
  const place = (...services: [string, number][]): TaskPlaceView => ({
    folder: '/lease',
    socket: '/lease/own/task.sock',
    proxySocket: '/lease/proxy.sock',
    services: services.map(([host, port]) => ({ host, port, socket: `/lease/${host}` })),
  })
  const proxy = { url: 'http://127.0.0.1:61128' } as ProxyView

  it.each(['10.0.0.5', '192.168.1.1', 'fe80::1'])('do not lead to an address: %s', (host) => {
    expect(() => waysOut(place([host, 5432]), proxy)).toThrow(
      expect.objectContaining({
        code: 'isolation_unavailable',
        message: `"${host}" cannot be reached from inside`,
      }),
    )
  })

  it('are the proxy and each service, at an address of its own for each name', () => {
    const found = waysOut(
      place(['db.example', 5432], ['DB.example.', 6379], ['other.example', 5432], ['localhost', 1]),
      proxy,
    )
    expect(found.relays).toEqual([
      { host: '127.0.0.1', port: 61128, from: '/lease/proxy.sock' },
      { host: '127.73.0.1', port: 5432, from: '/lease/db.example' },
      { host: '127.73.0.1', port: 6379, from: '/lease/DB.example.' },
      { host: '127.73.0.2', port: 5432, from: '/lease/other.example' },
      { host: '127.0.0.1', port: 1, from: '/lease/localhost' },
    ])
    expect(found.names).toEqual([
      { name: 'db.example', address: '127.73.0.1' },
      { name: 'other.example', address: '127.73.0.2' },
    ])
    expect(waysOut(place(), null)).toEqual({ relays: [], names: [] })
  })

  it('are what the names lead to, whatever the machine says of them', () => {
    const machine =
      '127.0.0.1 localhost\n10.1.1.1 db.example other # note\n10.1.1.2\tDB.example\n# db.example\n'
    expect(hostsText(machine, [{ name: 'db.example', address: '127.73.0.1' }])).toBe(
      '127.73.0.1 db.example\n127.0.0.1 localhost\n10.1.1.1 other\n# db.example\n',
    )
  })
})
