import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { BrokerError } from '../errors.ts'
import { certificateBlocks, isCertificate } from './certificates.ts'
import { readText } from './input.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The roots (PEM) to believe a server by instead of the public ones: of `--ca-file`, else of
 * BROKER_CA_FILE; undefined where neither is given. Throws for a file without a certificate: the
 * public roots in its place would not be what was asked for.
 */
export async function rootsFrom(
  caFile: string | undefined,
  env: Environment,
): Promise<string | undefined> {
  const file = named(caFile, env)
  if (file === undefined) return undefined
  const blocks = certificateBlocks(await readText(file))
  if (blocks.length > 0 && blocks.every(isCertificate)) return blocks.join('')
  throw new BrokerError('config_invalid', `"${file}" holds no certificates that can be read`, {
    hint: 'it has to be a PEM file of root certificates',
  })
}

/**
 * The same file as later commands find it, absolute. Undefined where it will not be there for them: no plain file, such
 * as what a shell makes of `<(…)`.
 */
export function lastingRoots(caFile: string | undefined, env: Environment): string | undefined {
  const file = named(caFile, env)
  if (file === undefined) return undefined
  const path = resolve(file)
  const passing = /^\/(?:dev|proc)\//.test(path)
  return !passing && statSync(path, { throwIfNoEntry: false })?.isFile() ? path : undefined
}

function named(caFile: string | undefined, env: Environment): string | undefined {
  return caFile ?? (env['BROKER_CA_FILE'] || undefined)
}
