import { readFileSync } from 'node:fs'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'

/** Enough for a service account or a kubeconfig; a whole disk by mistake is not a secret. */
const MAX_BYTES = 1 << 20

async function readStandardInput(): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BYTES) {
      throw new BrokerError('usage', 'standard input is larger than 1 MiB', {
        hint: 'check what is piped in',
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new BrokerError('usage', `"${name}" is not UTF-8 text`, {
      hint: 'convert it to UTF-8, or encode a binary secret as its provider expects it',
    })
  }
}

/** The whole of standard input, without the one newline that `echo` adds. */
export async function readSecret(): Promise<Secret> {
  if (process.stdin.isTTY) {
    throw new BrokerError(
      'usage',
      '--secret-stdin needs a pipe, and standard input is a terminal',
      {
        hint: 'leave out --secret-stdin to be asked without echo',
      },
    )
  }
  const text = decode(await readStandardInput(), 'standard input').replace(/\r?\n$/, '')
  if (text === '') {
    throw new BrokerError('usage', 'the secret on standard input is empty', {
      hint: 'pipe the secret in: printf %s "$SECRET" | broker connect … --secret-stdin',
    })
  }
  return new Secret(text)
}

/** A text file, or standard input for `-`. */
export async function readText(file: string): Promise<string> {
  if (file === '-') return decode(await readStandardInput(), 'standard input')
  return decode(readBytes(file), file)
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a folder',
}

export function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    throw new BrokerError('not_found', `cannot read "${file}": ${REASONS[code] ?? code}`, {
      hint: 'give the path of a file that you may read',
      cause: error,
    })
  }
}
