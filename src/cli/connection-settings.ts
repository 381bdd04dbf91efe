import { resolve } from 'node:path'
import { BrokerError } from '../errors.ts'
import { readBytes } from './input.ts'

interface ConnectFlags {
  readonly set?: readonly string[] | undefined
  readonly url?: string | undefined
  readonly 'ca-file'?: string | undefined
}

/** The settings of a connection from its flags. Values are never repeated in an error. */
export function connectionSettings(flags: ConnectFlags): Record<string, string> {
  const pairs = (flags.set ?? []).map(splitPair)
  if (flags.url !== undefined) pairs.push(['url', checkedUrl(flags.url)])
  if (flags['ca-file'] !== undefined) {
    readBytes(flags['ca-file']) // a missing file is told here, not by the daemon
    pairs.push(['caFile', resolve(flags['ca-file'])])
  }
  const names = pairs.map(([name]) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    throw new BrokerError('usage', `setting "${twice}" is given twice`, {
      hint: 'keep one of them',
    })
  }
  return Object.fromEntries(pairs)
}

function splitPair(text: string): [string, string] {
  const match = text.match(/^([A-Za-z][\w.-]*)=(.*)$/s)
  if (match) return [match[1] ?? '', match[2] ?? '']
  throw new BrokerError('usage', '--set needs the form key=value', {
    hint: 'for example --set region=eu-west-1; the secret itself goes to standard input',
  })
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new BrokerError('usage', '--url needs an address that begins with https:// or http://', {
      hint: 'for example --url https://railway.example.com:8443',
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new BrokerError('usage', '--url must not contain a user or a password', {
      hint: 'every process can read the command line; give the secret on standard input',
    })
  }
  return text
}
