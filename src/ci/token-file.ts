import { createReadStream } from 'node:fs'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import { tokenIn } from './token-shape.ts'

const LONGEST = 64 * 1024

/** Reads the token of `--subject-token-file`; `-` is `stdin`. Throws `usage` for what holds none. */
export async function tokenOf(
  file: string,
  stdin: AsyncIterable<Uint8Array | string> | undefined,
): Promise<{ token: Secret; from: string }> {
  const from = file === '-' ? 'standard input' : `file "${file}"`
  const source = file === '-' ? stdin : createReadStream(file)
  if (source === undefined) throw unreadable(from)
  const text = await readLimited(source).catch((cause: unknown) => {
    throw unreadable(from, cause)
  })
  const token = tokenIn(text)
  if (token === undefined) {
    throw new BrokerError('usage', `${from} holds no identity token`, {
      hint: 'it has to hold one JWT in its compact form, and nothing else',
    })
  }
  return { token, from }
}

async function readLimited(source: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of source) {
    length += chunk.length
    // What is longer is no token: the part that was read is not looked at.
    if (length > LONGEST) return ''
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unreadable(from: string, cause?: unknown): BrokerError {
  return new BrokerError('usage', `${from} cannot be read`, {
    hint: 'name a file with the identity token, or - and pipe it in',
    cause,
  })
}
