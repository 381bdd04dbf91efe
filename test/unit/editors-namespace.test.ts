import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../isolation/until.ts'

/** As bubblewrap has it: a first process that only waits, and ours as the second. */
const INSIDE = [
  'unshare',
  '--user',
  '--map-root-user',
  '--pid',
  '--fork',
  '--mount-proc',
  'sh',
  '-c',
]
const WAITS = '"$0" "$@"; exit $?'

const PROGRAM = `
import { namespaceTable } from '${join(import.meta.dirname, '../../src/launch/editors/proc-table.ts')}'
import { TaskProcesses } from '${join(import.meta.dirname, '../../src/launch/editors/processes.ts')}'
import { spawnSync } from 'node:child_process'
import { writeSync } from 'node:fs'
const [gate] = process.argv.slice(2)
spawnSync('sh', ['-c', 'setsid env -i /bin/sh -c "read x < $0" & exit 0', gate], { stdio: 'ignore' })
const processes = new TaskProcesses(namespaceTable(), 0)
writeSync(1, 'left ' + processes.others().length + '\\n')
await processes.allGone()
writeSync(1, 'over\\n')
`

const works = spawnSync(INSIDE[0] ?? '', [...INSIDE.slice(1), 'true']).status === 0
if (!works) console.warn('\nSKIPPED: no process namespace to be had here\n')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'editors-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.runIf(works)('waits in a process namespace for what left it in every other way', async () => {
  const [gate, program] = [join(folder, 'gate'), join(folder, 'program.ts')]
  spawnSync('mkfifo', [gate])
  writeFileSync(program, PROGRAM)
  const [unshare = '', ...args] = INSIDE
  const command = [process.execPath, '--no-warnings', program, gate]
  const child = spawn(unshare, [...args, WAITS, ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    said += part
  })
  const ended = once(child, 'exit')
  await until('something was left', () => said.includes('\n'))
  expect(said).toBe('left 1\n')
  await writeFile(gate, '\n')
  expect(await ended).toEqual([0, null])
  expect(said).toBe('left 1\nover\n')
})
