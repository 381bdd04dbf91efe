import { resolve } from 'node:path'
import { BrokerError } from '../errors.ts'
import { certificateBlocks, isCertificate } from './certificates.ts'
import { readBytes } from './input.ts'

interface ConnectFlags {
  readonly set?: readonly string[] | undefined
  readonly url?: string | undefined
  readonly 'ca-file'?: string | undefined
}

/** More than all public roots together. */
const MOST_BYTES = 256 * 1024

/**
 * The settings of a connection from its flags. Values are never repeated in an error. Of `--ca-file` the
 * certificates themselves go along (`ca`), for they are what was meant: the file may change, and its
 * path (`caFile`) is only shown.
 */
export function connectionSettings(flags: ConnectFlags): Record<string, string> {
  const pairs = (flags.set ?? []).map(splitPair)
  if (flags.url !== undefined) pairs.push(['url', checkedUrl(flags.url)])
  if (flags['ca-file'] !== undefined) {
    pairs.push(['caFile', resolve(flags['ca-file'])], ['ca', certificatesIn(flags['ca-file'])])
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

/** Its certificates and nothing else of the file: a key that stands beside them stays where it is. */
function certificatesIn(file: string): string {
  const blocks = certificateBlocks(Buffer.from(readBytes(file)).toString('latin1'))
  if (blocks.length === 0) {
    throw new BrokerError('usage', `"${file}" holds no certificate in PEM form`, {
      hint: 'it needs -----BEGIN CERTIFICATE-----; openssl x509 -inform der -in FILE converts',
    })
  }
  const broken = blocks.findIndex((block) => !isCertificate(block))
  if (broken >= 0) {
    throw new BrokerError('usage', `certificate ${broken + 1} in "${file}" cannot be read`, {
      hint: 'see that the file is whole: openssl x509 -noout -text -in FILE',
    })
  }
  const text = blocks.join('')
  if (text.length <= MOST_BYTES) return text
  throw new BrokerError('usage', `"${file}" holds more than 256 KiB of certificates`, {
    hint: 'give only the ones that sign for that address',
  })
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
