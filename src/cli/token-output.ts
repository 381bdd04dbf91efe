import { type Credentials, type Format, formatCredentials } from '../ci/format.ts'
import { writeGithub } from '../ci/github-files.ts'
import { maskLines, secretValues } from '../ci/masks.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { jsonText, remark, writeWhole } from './terminal.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Hands the credentials to whoever asked, whole or not at all: it throws where a part may be missing,
 * and then they have to be revoked. In `github` the runner is told to mask them before anything else.
 */
export async function handOver(
  format: Format,
  credentials: Credentials,
  env: Environment,
): Promise<void> {
  try {
    if (format === 'github') {
      await writeWhole(maskLines(secretValues(credentials.variables).reveal()))
      return writeGithub(env, credentials)
    }
    const text = formatCredentials(format, credentials).reveal()
    if (process.stdout.isTTY)
      remark(['broker: what follows is secret, on this screen and above it'])
    // As harmless on a terminal as every other JSON of ours, and the same to a parser.
    await writeWhole(format === 'json' ? `${jsonText(JSON.parse(text))}\n` : text)
  } catch (cause) {
    throw isBrokerError(cause) ? cause : notWritten(cause)
  }
}

function notWritten(cause: unknown): BrokerError {
  const { code = 'unknown reason' } = cause as NodeJS.ErrnoException
  return new BrokerError('internal', `the credentials could not be written out (${code})`, {
    hint: 'their lease is revoked; see who reads standard output and where it goes, then ask again',
    cause,
  })
}
