import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { daemonFlags } from '../../src/client/daemon-flags.ts'

describe('what Node is told when it is started for the daemon', () => {
  it('is understood by the Node that runs this', () => {
    const shown = 'require("v8").getHeapStatistics().total_heap_size'
    const flags = daemonFlags(process.versions.node)
    const { status, stderr } = spawnSync(process.execPath, [...flags, '-e', shown])
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' })
  })

  it('keeps the young objects small', () => {
    // Two halves, and the room into which what stays is copied.
    const most = 3 * 16 * 1024 * 1024
    const program = `
      const kept = []
      for (let n = 0; n < 3e6; n++) kept[n % 2e5] = { n, text: 'x' + n }
      const { space_size } = require('v8').getHeapSpaceStatistics().find((s) => s.space_name === 'new_space')
      process.stdout.write(String(space_size))`
    const size = (flags: readonly string[]) =>
      Number(spawnSync(process.execPath, [...flags, '-e', program]).stdout)
    expect(size([])).toBeGreaterThan(most)
    expect(size(daemonFlags(process.versions.node))).toBeLessThanOrEqual(most)
  })

  it('is nothing that a Node of which it was not tried could refuse', () => {
    const untried = daemonFlags('99.0.0')
    for (const flag of untried) {
      const [name = ''] = flag.split('=')
      const isKnown = process.allowedNodeEnvironmentFlags.has(name)
      expect({ flag, isKnown }).toEqual({ flag, isKnown: true })
    }
    expect(daemonFlags(process.versions.node).length).toBe(untried.length + 1)
  })
})
