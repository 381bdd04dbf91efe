import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { expectInDocs, row } from './docs-table.ts'
import { finish, NODE, startNeighbour } from './run.ts'
import { until } from './until.ts'
import type { Way } from './way.ts'
import { GROUPS, WAYS } from './ways.ts'
import { AFTER } from './ways-processes.ts'
import { openThrough } from './ways-through.ts'
import { makeWorld } from './world.ts'

const LEVELS = ['scrub', 'mask', 'confine'] as const
type Level = (typeof LEVELS)[number]
const HOSTILE = join(import.meta.dirname, 'hostile.mjs')

/** Name of each way that got there. */
async function attack(level: Level, person: Person, ways: readonly Way[]): Promise<Set<string>> {
  const world = makeWorld(person, { withBroker: process.env['ISOLATION_THROUGH'] === 'walls' })
  const ends: (() => Promise<void> | void)[] = [() => world.remove()]
  try {
    const through = await openThrough(world, person)
    ends.unshift(() => through.end())
    const neighbour = await startNeighbour(world, person)
    ends.unshift(() => neighbour.stop())
    const put = (name: string, text: string) => {
      writeFileSync(join(world.project, name), text)
      chmodSync(join(world.project, name), 0o666)
    }
    put('results.json', '')
    put('hostile.mjs', readFileSync(HOSTILE, 'utf8'))
    const child = through.start({ level, person, path: NODE, args: ['hostile.mjs'] })
    const env = {
      ...world.shared,
      ...neighbour.env,
      DAEMON: neighbour.env['NEIGHBOUR'],
      ...through.env,
      TASK: world.folder,
      ADDRESS: ownAddress('IPv4'),
      ADDRESS6: ownAddress('IPv6'),
      LAUNCHER: String(child.pid),
    }
    // What it may know, it is told: a variable that was scrubbed is no wall.
    put('ways.json', JSON.stringify({ env, ways: ways.map(({ name, code }) => ({ name, code })) }))
    const { status, stderr } = await finish(child)
    expect(status, stderr).toBe(0)
    const results = JSON.parse(readFileSync(join(world.project, 'results.json'), 'utf8'))
    put(AFTER, '')
    const survivors = ways.filter(({ effect }) => effect?.includes('survived'))
    const survived = () =>
      survivors.every(({ effect = '' }) => holds(join(world.folder, effect), 'HOSTILE'))
    if (level === 'scrub') await until('everything has survived', survived)
    else await until('nothing of the task is left', () => !runsWith(`TASK=${world.folder}`))
    const gotThere = (way: Way) =>
      [world.canary, world.open, 'REACHED', ...through.signs].some((sign) =>
        results[way.name].includes(sign),
      ) ||
      (way.effect !== undefined && holds(join(world.folder, way.effect), 'HOSTILE'))
    return new Set(ways.filter(gotThere).map(({ name }) => name))
  } finally {
    for (const end of ends) await end()
  }
}

function holds(path: string, word: string): boolean {
  return existsSync(path) && readFileSync(path, 'utf8').includes(word)
}

/** True while a process has this among its variables, in whatever name space. */
function runsWith(variable: string): boolean {
  return readdirSync('/proc').some((name) => {
    try {
      return (
        /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(variable)
      )
    } catch {
      return false // it has ended, or is not ours
    }
  })
}

/** Of this machine, and not of its loopback or of one cable alone. */
function ownAddress(family: 'IPv4' | 'IPv6'): string {
  const all = Object.values(networkInterfaces()).flat()
  const own = all.find((one) => one && !one.internal && one.family === family && !one.scopeid)
  return own?.address ?? (family === 'IPv4' ? '127.0.0.1' : '::1')
}

const seen = new Map<Person, Map<Level, Set<string>>>()

describe.runIf(hasBubblewrap()).each(PERSONS)('a hostile program, run by %s', (person) => {
  const ways = WAYS.filter((way) => way.as === undefined || person === 'self' || way.as === person)
  const reached = new Map<Level, Set<string>>()
  seen.set(person, reached)
  beforeAll(async () => {
    for (const level of LEVELS) reached.set(level, await attack(level, person, ways))
  })
  const lastReached = (way: Way) => LEVELS.filter((level) => reached.get(level)?.has(way.name))

  it.each(ways)('$name: stopped at $stoppedAt', (way) => {
    // At `scrub` every one of them gets there, or its failure further up would prove nothing.
    const stopped = way.stoppedAt === 'open' ? LEVELS.length : LEVELS.indexOf(way.stoppedAt)
    expect(lastReached(way)).toEqual(LEVELS.slice(0, stopped))
  })
})

describe.runIf(hasBubblewrap())('the documentation', () => {
  it('says of each way how far it got', () => {
    const whole = PERSONS.includes('root')
    const groups = Object.entries(GROUPS).map(([title, ways]) => {
      const lines = ways.map(lineOf).filter((line) => line !== undefined)
      return whole ? [`### ${title}`, '', ...HEAD, ...lines, ''] : lines
    })
    expectInDocs('ways', ['', ...groups.flat()].slice(whole ? 0 : 1), whole)
  })
})

const HEAD = [
  row('way', '`scrub`', '`mask`', '`confine`', 'why it is open'),
  '|---|---|---|---|---|',
]

/** Of those who could try it; that they agree, the tests above have seen. */
function lineOf(way: Way): string | undefined {
  const one = way.as === 'root' ? 'root' : PERSONS.find((person) => person !== 'root')
  const levels = one && seen.get(one)
  if (levels === undefined) return undefined
  if (levels.size < LEVELS.length) throw new Error(`not every level was tried as ${one}`)
  const name = way.as === 'root' ? `${way.name} (root)` : way.name
  const marks = LEVELS.map((level) => (levels.get(level)?.has(way.name) ? 'gets there' : 'stopped'))
  return row(name, ...marks, way.because ?? '')
}
