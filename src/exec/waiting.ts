import { monotonic } from '../client/monotonic.ts'
import { draw } from './say.ts'

const QUIET_MS = 500
const FRAME_MS = 100
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/**
 * Shows `text` and the time gone by while `work` takes longer than half a second, if standard error is
 * a terminal, and leaves nothing behind.
 */
export async function whileWaiting<T>(text: string, show: boolean, work: Promise<T>): Promise<T> {
  if (!show) return work
  const began = monotonic()
  let drawn = 0
  let timer = setTimeout(begin, QUIET_MS)
  function begin(): void {
    if (!process.getBuiltinModule('node:tty').isatty(2)) return
    timer = setInterval(step, FRAME_MS)
    step()
  }
  function step(): void {
    const seconds = ((monotonic() - began) / 1000).toFixed(1)
    draw(`\r${FRAMES[drawn++ % FRAMES.length]} ${text} · ${seconds} s\u001b[K`)
  }
  try {
    return await work
  } finally {
    clearTimeout(timer)
    if (drawn > 0) draw('\r\u001b[K')
  }
}
