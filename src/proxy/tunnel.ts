import type { Duplex } from 'node:stream'
import type { Outcome } from './gate.ts'

/**
 * Ties two connections together. Each end-of-stream is passed on by itself, so a client that has
 * sent everything still gets the rest of the answer; an error or a close takes both down.
 */
export function join(client: Duplex, upstream: Duplex): Promise<Outcome['end']> {
  return new Promise((resolve) => {
    const over = (end: Outcome['end']) => {
      client.destroy()
      upstream.destroy()
      resolve(end)
    }
    const whole = () => client.readableEnded && upstream.readableEnded
    client.once('error', () => over('client_gone'))
    upstream.once('error', () => over('upstream_failed'))
    client.once('close', () => over(whole() ? 'complete' : 'client_gone'))
    upstream.once('close', () => over(whole() ? 'complete' : 'upstream_failed'))
    client.pipe(upstream)
    upstream.pipe(client)
  })
}
