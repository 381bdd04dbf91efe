import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import { askSecret, canAsk } from './prompts.ts'

/** Where the operator key of a server may come from. It is never a flag: every process can read those. */
export interface KeySource {
  readonly variable: Secret | undefined
  readonly file: string | undefined
}

const VARIABLE = 'BROKER_OPERATOR_KEY'
const FILE = 'BROKER_OPERATOR_KEY_FILE'
const LONGEST = 4096
const SHAPE = /^bko_[A-Za-z0-9_-]{20,200}$/

/** Takes both variables out of `env`, so that nothing we start inherits them. */
export function takeKeySource(env: NodeJS.ProcessEnv): KeySource {
  const { [VARIABLE]: value, [FILE]: file } = env
  delete env[VARIABLE]
  delete env[FILE]
  return { variable: value ? new Secret(value) : undefined, file: file || undefined }
}

export function namesKey({ variable, file }: KeySource): boolean {
  return variable !== undefined || file !== undefined
}

/**
 * The key from the variable, else the file, else a person. Throws `unauthorized` where there is none
 * of them, and `usage` for what cannot be an operator key: another secret must not travel by mistake.
 */
export async function operatorKeyFrom(source: KeySource, url: string): Promise<Secret> {
  if (source.variable !== undefined) return checked(source.variable, `"${VARIABLE}"`)
  if (source.file !== undefined) return checked(readKeyFile(source.file), `"${source.file}"`)
  if (canAsk()) return checked(await askSecret(`operator key of ${url}:`), 'what was typed')
  throw new BrokerError('unauthorized', `"${url}" wants the operator key, and nothing names it`, {
    hint: `set ${FILE} or ${VARIABLE}, or run the command in a terminal to be asked`,
  })
}

function checked(secret: Secret, name: string): Secret {
  const key = secret.reveal().trim()
  if (SHAPE.test(key)) return new Secret(key)
  throw new BrokerError('usage', `${name} is not an operator key`, {
    hint: 'it is one line that begins with bko_, from operator.key in the configuration folder of the server',
  })
}

function readKeyFile(file: string): Secret {
  try {
    const descriptor = openSync(file, 'r')
    try {
      requirePrivate(file, descriptor)
      return new Secret(readSome(descriptor))
    } finally {
      closeSync(descriptor)
    }
  } catch (cause) {
    if (cause instanceof BrokerError) throw cause
    const { code = 'unknown reason' } = cause as NodeJS.ErrnoException
    throw new BrokerError('unauthorized', `the operator key "${file}" cannot be read (${code})`, {
      hint: `${FILE} names a file with the key, readable by you alone`,
      cause,
    })
  }
}

/** Of the open file, so that it is the one that is read. A pipe (`<(pass show broker)`) is as good. */
function requirePrivate(file: string, descriptor: number): void {
  if (process.platform === 'win32') return
  if ((fstatSync(descriptor).mode & 0o077) === 0) return
  throw new BrokerError('unauthorized', `the operator key "${file}" can be read by other users`, {
    hint: `chmod 600 ${file}, and think about whether others have read it already`,
  })
}

/** More than a key is not needed to see that it is none, and a device has no end. */
function readSome(descriptor: number): string {
  const buffer = Buffer.alloc(LONGEST)
  let length = 0
  for (;;) {
    const read = readSync(descriptor, buffer, length, LONGEST - length, null)
    if (read === 0) break
    length += read
  }
  return buffer.toString('utf8', 0, length)
}
