import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { wholeTask } from '../../src/exec/whole-task.ts'
import { startChild } from '../../src/launch/child.ts'
import { EDITORS, type Editor } from '../../src/launch/editors/editor.ts'
import { isAlive, until } from '../fixtures/broker.ts'

const CODE = EDITORS.find(({ name }) => name === 'code') as Editor

let folder: string
const windows: number[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'editors-'))
  execFileSync('mkfifo', [join(folder, 'gate')])
})
afterEach(() => {
  for (const pid of windows.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** A launcher that leaves a window in a session of its own, and waits for it or not. */
async function open(code: 'wait' | 'exit 0') {
  const shown = `echo $$ >'${folder}/pid'; read x <'${folder}/gate'; exit 9`
  const env = { PATH: process.env['PATH'] ?? '', BROKER_LEASE: folder }
  const args = ['-c', `setsid sh -c "$0" & ${code}`, shown]
  const child = await startChild({ path: '/bin/sh', name: 'sh', args, env })
  const whole = wholeTask(CODE, child, folder, { untilTtl: false, quiet: true })
  const file = join(folder, 'pid')
  await until('there is a window', () => existsSync(file) && readFileSync(file, 'utf8') !== '')
  const window = Number(readFileSync(file, 'utf8'))
  windows.push(window)
  return { child, whole, window }
}

describe.runIf(process.platform === 'linux')('an editor as one child', () => {
  it('is killed with its windows', async () => {
    const { whole, window } = await open('wait')
    whole.kill('SIGKILL')
    expect(await whole.ended).toEqual({ exitCode: null, signal: 'SIGKILL' })
    expect(isAlive(window)).toBe(false)
  })

  it('is told by signals: the launcher, and when that has gone its windows', async () => {
    const waiting = await open('wait')
    waiting.whole.forward('SIGTERM')
    await waiting.child.ended
    expect(isAlive(waiting.window)).toBe(true)
    waiting.whole.forward('SIGWINCH')
    waiting.whole.forward('SIGTERM')
    expect(await waiting.whole.ended).toEqual({ exitCode: null, signal: 'SIGTERM' })
    expect(isAlive(waiting.window)).toBe(false)
  })

  it('ends when its last window does, with the launcher’s status', async () => {
    const { child, whole } = await open('exit 0')
    expect(await child.ended).toEqual({ exitCode: 0, signal: null })
    await writeFile(join(folder, 'gate'), '\n')
    expect(await whole.ended).toEqual({ exitCode: 0, signal: null })
  })
})
