import { formatDuration } from '../lib/duration.ts'
import { lookOf, visible } from './terminal.ts'

const PATIENCE_MS = 500

/**
 * Shows `text` and the time it has taken, while `work` runs longer than a person waits gladly.
 * Only on a terminal; erased before this returns or throws, so that nothing else is overwritten.
 */
export async function whileWaiting<T>(text: string, work: () => Promise<T>): Promise<T> {
  if (!lookOf(process.stderr, process.env).terminal) return work()
  const begun = Date.now()
  let stop = () => {}
  const timer = setTimeout(async () => {
    const { default: yoctoSpinner } = await import('yocto-spinner')
    if (ended) return
    const label = () =>
      `${visible(text)} ${formatDuration(Math.floor((Date.now() - begun) / 1000) * 1000)}`
    const spinner = yoctoSpinner({ text: label(), stream: process.stderr }).start()
    const clock = setInterval(() => {
      spinner.text = label()
    }, 1000)
    stop = () => {
      clearInterval(clock)
      spinner.stop()
    }
  }, PATIENCE_MS)
  let ended = false
  try {
    return await work()
  } finally {
    ended = true
    clearTimeout(timer)
    stop()
  }
}
