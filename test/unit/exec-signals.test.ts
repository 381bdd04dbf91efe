import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

const SIGNALS = new URL('../../src/exec/signals.ts', import.meta.url).href

/** A process that listens as exec does and sends signals to itself; what is said ends up in `out`. */
function played(scene: string) {
  const code = `
    import { Signals } from ${JSON.stringify(SIGNALS)}
    const signals = new Signals()
    const child = { pid: 1, ended: new Promise(() => {}), kill() {}, forward: (signal) => console.log('child', signal) }
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

describe('a signal to exec', () => {
  it('ends it while there is no child', () => {
    expect(played("await send('SIGTERM')")).toEqual({ status: 143, out: '' })
  })

  it('is the child’s that is being started, as soon as it is known', () => {
    const scene = "signals.childStarting(); await send('SIGTERM'); signals.childStarted(child)"
    expect(played(scene)).toEqual({ status: 0, out: 'child SIGTERM\nover SIGTERM\n' })
  })

  it('ends it when it is the second one and the child has still not started', () => {
    const scene = "signals.childStarting(); await send('SIGTERM'); await send('SIGINT')"
    expect(played(scene)).toEqual({ status: 130, out: '' })
  })

  it('is not kept for a child where it ends nothing', () => {
    const scene = "signals.childStarting(); await send('SIGWINCH'); signals.childStarted(child)"
    expect(played(scene)).toEqual({ status: 0, out: 'over undefined\n' })
  })

  it('goes on to the child that runs', () => {
    const scene = "signals.childStarting(); signals.childStarted(child); await send('SIGUSR1')"
    expect(played(scene)).toEqual({ status: 0, out: 'child SIGUSR1\nover undefined\n' })
  })
})
