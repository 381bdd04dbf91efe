import { FORMATS, type Format } from '../ci/format.ts'
import { BrokerError } from '../errors.ts'
import { parseDuration } from '../lib/duration.ts'

/** `--json` is `--format json`. Throws `usage` where both are given and differ. */
export function formatOf(given: string | undefined, json: boolean): Format {
  const format = FORMATS.find((one) => one === given)
  if (!json) return format ?? 'env'
  if (format === undefined || format === 'json') return 'json'
  throw new BrokerError('usage', `--json and --format ${format} exclude each other`, {
    hint: 'leave out one of them; --json is --format json',
  })
}

export function ttlOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new BrokerError('usage', `--ttl "${text.slice(0, 40)}" is not a duration`, {
    hint: 'use 90s, 30m, 1h or a sum of such, as 1h30m',
  })
}

/** Throws, quoting nothing, where the token itself stands in place of its file's name. */
export function tokenFileOf(value: string | undefined): string | undefined {
  if (value === undefined || !/^[\w-]+\.[\w-]+\.[\w-]*$/.test(value) || !value.startsWith('ey')) {
    return value
  }
  throw new BrokerError('usage', '--subject-token-file takes the name of a file, not a token', {
    hint: 'what stands in a command line is seen by others: pipe it in with --subject-token-file -',
  })
}

/** Nothing may be asked for that could not be handed over then: an identity token is good for one try. */
export function requireGithub(format: Format, env: Readonly<Record<string, string | undefined>>) {
  if (format !== 'github' || env['GITHUB_ENV']) return
  throw new BrokerError('usage', '--format github needs "GITHUB_ENV" in the environment', {
    hint: 'it is for a step of GitHub Actions; elsewhere use env, shell, json, dotenv or gitlab',
  })
}
