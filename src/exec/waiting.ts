import { monotonic } from '../client/monotonic.ts'
import { draw } from './say.ts'

const QUIET_MS = 500
const FRAME_MS = 100
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

export function isTerminal(): boolean {
  return process.getBuiltinModule('node:tty').isatty(2)
}

/**
 * Draws one line over and over, and returns what erases it. It is erased as well when a signal ends us:
 * the prompt comes back to an empty line.
 */
export function drawLine(everyMs: number, line: () => string): () => void {
  const step = () => draw(`\r${line()}\u001b[K`)
  const erase = () => {
    if (timer === undefined) return
    clearInterval(timer)
    timer = undefined
    process.off('exit', erase)
    draw('\r\u001b[K')
  }
  let timer: NodeJS.Timeout | undefined = setInterval(step, everyMs)
  process.once('exit', erase)
  step()
  return erase
}

/**
 * Shows `text` and the time gone by once it takes longer than half a second, if standard error is a
 * terminal. Returns what ends it and leaves nothing behind.
 */
export function spin(text: string, show: boolean): () => void {
  if (!show) return () => {}
  const began = monotonic()
  let erase = () => {}
  let drawn = 0
  const timer = setTimeout(() => {
    if (!isTerminal()) return
    erase = drawLine(FRAME_MS, () => {
      const seconds = ((monotonic() - began) / 1000).toFixed(1)
      return `${FRAMES[drawn++ % FRAMES.length]} ${text} · ${seconds} s`
    })
  }, QUIET_MS)
  return () => {
    clearTimeout(timer)
    erase()
  }
}

/** Spins for as long as `work` takes. */
export async function whileWaiting<T>(text: string, show: boolean, work: Promise<T>): Promise<T> {
  const stop = spin(text, show)
  try {
    return await work
  } finally {
    stop()
  }
}
