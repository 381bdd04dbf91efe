import { readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { ProxyView } from '../api/types.ts'
import { certificateBlocks, isCertificate } from '../cli/certificates.ts'
import { BrokerError } from '../errors.ts'
import { ROOT_VARIABLES, type Trust } from '../launch/proxy-environment.ts'
import { writeFileAtomic } from '../lib/atomic-write.ts'

/** All public roots are a fifth of this. */
const LARGEST_BYTES = 1 << 20

export interface TaskTrust {
  readonly trust: Trust
  /** One line for each file of the caller's that could not be read. */
  readonly remarks: readonly string[]
}

/**
 * What the programs of a proxied task trust. Roots of the caller's own (a company's, named by
 * NODE_EXTRA_CA_CERTS or the like) go on working: their certificates, and nothing else of their files,
 * stand behind a copy of the lease's bundle, in the lease's own folder, which goes with the lease.
 * Throws `internal` if that file cannot be made.
 */
export function taskTrust(
  proxy: ProxyView,
  environment: Readonly<Record<string, string>>,
  cwd: string,
): TaskTrust {
  const files = rootFiles(environment, cwd)
  files.delete(proxy.bundleFile)
  if (files.size === 0) return { trust: trustIn(proxy.caFile, proxy.bundleFile), remarks: [] }
  const remarks: string[] = []
  const bundle = mustDo('read', proxy.bundleFile, (file) => readFileSync(file, 'utf8'))
  const known = new Set(certificateBlocks(bundle))
  const extra = new Set<string>()
  for (const [file, variable] of files) {
    const text = rootsIn(file)
    if (text === undefined) remarks.push(`the roots in ${variable} cannot be read: "${file}"`)
    for (const block of certificateBlocks(text ?? '')) {
      if (!known.has(block) && isCertificate(block)) extra.add(block)
    }
  }
  if (extra.size === 0) return { trust: trustIn(proxy.caFile, proxy.bundleFile), remarks }
  const file = join(dirname(proxy.bundleFile), 'bundle-task.pem')
  const text = [bundle.trimEnd(), ...extra].join('\n')
  mustDo('written', file, () => writeFileAtomic(file, text, 0o600))
  return { trust: trustIn(file, file), remarks }
}

function trustIn(addedFile: string, bundleFile: string): Trust {
  return { addedFile, bundleFile }
}

/** Path → the variable that names it. */
function rootFiles(environment: Readonly<Record<string, string>>, cwd: string) {
  const names = new Set(ROOT_VARIABLES.map((name) => name.toUpperCase()))
  const files = new Map<string, string>()
  for (const [name, value] of Object.entries(environment)) {
    if (value !== '' && names.has(name.toUpperCase())) files.set(resolve(cwd, value), name)
  }
  return files
}

/** Only of a plain file: reading a pipe could take what is meant for the command, or never end. */
function rootsIn(file: string): string | undefined {
  try {
    const found = statSync(file)
    return found.isFile() && found.size <= LARGEST_BYTES ? readFileSync(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}

function mustDo<T>(what: 'read' | 'written', file: string, act: (file: string) => T): T {
  try {
    return act(file)
  } catch (cause) {
    throw new BrokerError('internal', `the certificates "${file}" cannot be ${what}`, {
      hint: 'see that there is room and that the folder is yours; then start the task again',
      cause,
    })
  }
}
