import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { launch, NODE, startNeighbour } from './run.ts'
import { WAYS, type Way } from './ways.ts'
import { makeWorld } from './world.ts'

const LEVELS = ['scrub', 'mask', 'confine'] as const
type Level = (typeof LEVELS)[number]
const HOSTILE = join(import.meta.dirname, 'hostile.mjs')

/** Name of each way that got there. */
async function attack(level: Level, person: Person, ways: readonly Way[]): Promise<Set<string>> {
  const world = makeWorld(person)
  const neighbour = await startNeighbour(world, person)
  try {
    const put = (name: string, text: string) => {
      writeFileSync(join(world.project, name), text)
      chmodSync(join(world.project, name), 0o666)
    }
    put('ways.json', JSON.stringify(ways.map(({ name, code }) => ({ name, code }))))
    put('results.json', '')
    copyFileSync(HOSTILE, join(world.project, 'hostile.mjs'))
    const env = { ...neighbour.env, ADDRESS: ownAddress() }
    const run = { level, person, path: NODE, args: ['hostile.mjs'], env }
    const { status, stderr } = await launch(world, run)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const results = JSON.parse(readFileSync(join(world.project, 'results.json'), 'utf8'))
    const survivor = ways.find(({ effect }) => effect?.endsWith('survived.txt'))
    if (survivor) await new Promise((resolve) => setTimeout(resolve, 2000))
    const gotThere = (way: Way) =>
      [world.canary, world.open, 'REACHED'].some((sign) => results[way.name].includes(sign)) ||
      (way.effect !== undefined && holds(join(world.folder, way.effect), 'HOSTILE'))
    return new Set(ways.filter(gotThere).map(({ name }) => name))
  } finally {
    await neighbour.stop()
    world.remove()
  }
}

function holds(path: string, word: string): boolean {
  return existsSync(path) && readFileSync(path, 'utf8').includes(word)
}

/** Of this machine, and not of its loopback. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flat()
  return all.find((one) => one && !one.internal && one.family === 'IPv4')?.address ?? '127.0.0.1'
}

describe.runIf(hasBubblewrap()).each(PERSONS)('a hostile program, run by %s', (person) => {
  const ways = WAYS.filter((way) => way.as === undefined || person === 'self' || way.as === person)
  const reached = new Map<Level, Set<string>>()
  beforeAll(async () => {
    for (const level of LEVELS) reached.set(level, await attack(level, person, ways))
  })
  afterAll(() => {
    const table = ways.map((way) => [way.name, ...LEVELS.map((l) => reached.get(l)?.has(way.name))])
    if (process.env['ISOLATION_TABLE']) {
      writeFileSync(`${process.env['ISOLATION_TABLE']}-${person}.json`, JSON.stringify(table))
    }
  })
  const lastReached = (way: Way) => LEVELS.filter((level) => reached.get(level)?.has(way.name))

  it.each(ways)('$name: stopped at $stoppedAt', (way) => {
    // At `scrub` every one of them gets there, or its failure further up would prove nothing.
    const stopped = way.stoppedAt === 'open' ? LEVELS.length : LEVELS.indexOf(way.stoppedAt)
    expect(lastReached(way)).toEqual(LEVELS.slice(0, stopped))
  })
})
