import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { DAEMON_FLAGS } from '../../src/client/daemon-flags.ts'

describe('what Node is told when it is started for the daemon', () => {
  it('keeps the part where objects begin small', () => {
    // Two halves, and the room into which what stays is copied.
    const most = 3 * 8 * 1024 * 1024
    const program = `
      const kept = []
      for (let n = 0; n < 3e6; n++) kept[n % 2e5] = { n, text: 'x' + n }
      const { space_size } = require('v8').getHeapSpaceStatistics().find((s) => s.space_name === 'new_space')
      process.stdout.write(String(space_size))`
    const size = (flags: readonly string[]) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', program])
      expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' })
      return Number(stdout)
    }
    expect(size([])).toBeGreaterThan(most)
    expect(size(DAEMON_FLAGS)).toBeLessThanOrEqual(most)
  })

  it('is nothing that another Node could refuse', () => {
    for (const flag of DAEMON_FLAGS) {
      const [name = ''] = flag.split('=')
      const isKnown = process.allowedNodeEnvironmentFlags.has(name)
      expect({ flag, isKnown }).toEqual({ flag, isKnown: true })
    }
  })
})
