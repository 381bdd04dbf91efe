import type { Readable } from 'node:stream'
import { Secret } from '../lib/secret.ts'

const LONGEST = 64 * 1024
const DEADLINE_MS = 2000

/**
 * What the process that started us has to say: one JSON line on standard input, because variables
 * of the environment can be read by every process of the same user for as long as we live. Nothing,
 * or anything else, is the same as an empty message.
 */
export async function readStarterMessage(input: Readable): Promise<{ passphrase?: Secret }> {
  const text = await firstLine(input)
  if (text === '') return {}
  try {
    const { passphrase } = JSON.parse(text) as { passphrase?: unknown }
    return typeof passphrase === 'string' && passphrase !== ''
      ? { passphrase: new Secret(passphrase) }
      : {}
  } catch {
    return {}
  }
}

function firstLine(input: Readable): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const done = () => {
      clearTimeout(timer)
      input.destroy()
      resolve(text.split('\n', 1)[0] ?? '')
    }
    const timer = setTimeout(done, DEADLINE_MS)
    input.setEncoding('utf8')
    input.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n') || text.length > LONGEST) done()
    })
    input.on('end', done)
    input.on('error', done)
  })
}
