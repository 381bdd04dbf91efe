import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

// V8 decides in a program of its own here, whose flags make that decision the same each time: small young
// space, no compiler beside the program.
const FLAGS = ['--allow-natives-syntax', '--single-threaded', '--max-semi-space-size=1']
const PROXIES = new URL('../../src/daemon/proxies.ts', import.meta.url).href

/** How many of the objects made at a place where all live long began among the old ones. */
function begunOld(before: string): number {
  const program = `
    ${before}
    const make = (n) => [n, n]
    const isYoung = new Function('one', 'return %InYoungGeneration(one)')
    const kept = []
    let old = 0
    for (let n = 0; n < 1e6; n++) {
      const one = make(n)
      if (!isYoung(one)) old++
      kept.push(one)
    }
    console.log(old)`
  const args = [...FLAGS, '--input-type=module', '--eval', program]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

describe('a daemon with the proxy’s engine', () => {
  it('has every object begin among the young ones', () => {
    expect(begunOld('')).toBeGreaterThan(0)
    const loaded = `
      import { Proxies } from ${JSON.stringify(PROXIES)}
      await new Proxies({}, { error() {} }).preload()`
    expect(begunOld(loaded)).toBe(0)
  })
})
