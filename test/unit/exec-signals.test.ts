import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

const SIGNALS = new URL('../../src/exec/signals.ts', import.meta.url).href

/** A process that listens as exec does and sends signals to itself; what is said ends up in `out`. */
function played(scene: string) {
  const code = `
    import { Signals } from ${JSON.stringify(SIGNALS)}
    const signals = new Signals()
    const child = {
      pid: 1,
      ended: new Promise(() => {}),
      kill: (signal) => console.log('child, whoever sent it,', signal),
      forward: (signal) => console.log('child', signal),
    }
    const send = async (signal) => {
      let came = false
      process.once(signal, () => { came = true })
      process.kill(process.pid, signal)
      while (!came) await new Promise((turn) => setImmediate(turn))
    }
    signals.listen()
    ${scene}
    console.log('over', signals.endedStarting)
    process.exit(0)`
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  return { status, out: `${stdout}${stderr}` }
}

const STARTED = 'signals.childStarted(child)'

describe('a signal to exec', () => {
  it.each([
    ['ends it while there is no child', "await send('SIGTERM')", 143, ''],
    [
      'is the child’s that is being started, as soon as it is known',
      `signals.childStarting(); await send('SIGTERM'); ${STARTED}`,
      0,
      'child, whoever sent it, SIGTERM\nover SIGTERM\n',
    ],
    [
      'ends it when it is the second one and the child has still not started',
      "signals.childStarting(); await send('SIGTERM'); await send('SIGINT')",
      130,
      '',
    ],
    [
      'is not kept for a child where it ends nothing',
      `signals.childStarting(); await send('SIGWINCH'); ${STARTED}`,
      0,
      'over undefined\n',
    ],
    [
      'goes on to the child that runs',
      `signals.childStarting(); ${STARTED}; await send('SIGUSR1')`,
      0,
      'child SIGUSR1\nover undefined\n',
    ],
  ])('%s', (_, scene, status, out) => {
    expect(played(scene)).toEqual({ status, out })
  })
})
