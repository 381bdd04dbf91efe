import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'
import type { ProxyView } from '../api/types.ts'
import { certificateBlocks } from '../cli/certificates.ts'
import { BrokerError } from '../errors.ts'
import { makeToolsFolder, toolsBase } from '../launch/recipe/tools-folder.ts'
import type { Home } from '../lib/home.ts'

/**
 * The certificates of a lease's proxy in a folder of this process alone, 0700, under the temp folder: the CA,
 * and it with the roots that are trusted here. It goes with the process; one whose process was killed goes
 * with the next task. Nothing in it is a secret. Throws `internal`.
 */
export function writeRelayFiles(
  home: Pick<Home, 'run'>,
  ca: string,
): Pick<ProxyView, 'caFile' | 'bundleFile'> {
  const { path } = makeToolsFolder(toolsBase(home, true))
  const caFile = join(path, 'ca.pem')
  const bundleFile = join(path, 'bundle.pem')
  const blocks = new Set(certificateBlocks([ca, ...rootsHere()].join('\n')))
  try {
    writeFileSync(caFile, ca, { mode: 0o600, flag: 'wx' })
    writeFileSync(bundleFile, [...blocks].join(''), { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    throw new BrokerError(
      'internal',
      `the certificates of the proxy in "${path}" cannot be written`,
      {
        hint: 'see that there is room and that the folder is yours; then start the task again',
        cause,
      },
    )
  }
  return { caFile, bundleFile }
}

/** What a program that replaces its roots has to go on trusting: the public ones, and this machine's own. */
function rootsHere(): string[] {
  return [
    ...getCACertificates('bundled'),
    ...getCACertificates('system'),
    ...getCACertificates('extra'),
  ]
}
