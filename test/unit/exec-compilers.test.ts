import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const MODULE = join(import.meta.dirname, '../../src/exec/compilers.ts')

/** Whether a function that runs and runs is optimized: never, before, and in the end, after. */
const PROGRAM = `
  import { resumeOptimizing, stopOptimizing } from ${JSON.stringify(MODULE)}
  const warm = (f) => { for (let n = 0; n < 2e7; n++) f(n) }
  const isOptimized = (f) => (%GetOptimizationStatus(f) & (1 << 4)) !== 0
  stopOptimizing()
  stopOptimizing()
  const early = (n) => n * 3 + 1
  warm(early)
  const before = isOptimized(early)
  resumeOptimizing()
  const late = (n) => n * 3 + 2
  const until = Date.now() + 20_000
  while (!isOptimized(late) && Date.now() < until) warm(late)
  process.stdout.write(JSON.stringify({ before, after: isOptimized(late) }))
`

it('optimizing compilers do nothing between the two, and their work afterwards', () => {
  const flags = ['--allow-natives-syntax', '--input-type=module', '-e', PROGRAM]
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' })
  expect({ stdout, stderr }).toEqual({ stdout: '{"before":false,"after":true}', stderr: '' })
})
