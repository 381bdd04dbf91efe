import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { writeFileAtomic } from '../lib/atomic-write.ts'
import { ensurePrivateFolder } from '../lib/home.ts'
import { onDisk, unusable } from './failure.ts'

/**
 * What was set up in this home. It is what tells a vault that is lost from one that never was, so it
 * is written last at set-up, and never changed because something does not answer.
 */
export type VaultRecord = { readonly kind: 'keychain' } | FileRecord

export interface FileRecord {
  readonly kind: 'file'
  readonly sealedBy: 'passphrase' | 'key-file'
  /** Where the key file is; null when a passphrase seals. */
  readonly keyFile: string | null
}

export function recordPath(folder: string): string {
  return join(folder, 'vault.json')
}

/** Null when no vault was set up here. Throws `vault_unavailable` for a record that cannot be read. */
export function readRecord(path: string): VaultRecord | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw onDisk(path, error)
  }
  const record = parse(text)
  if (record) return record
  throw unusable(
    path,
    'is damaged',
    'restore it from a backup; it says {"kind":"keychain"} or {"kind":"file","sealedBy":…,"keyFile":…}',
  )
}

export function writeRecord(path: string, record: VaultRecord): void {
  try {
    ensurePrivateFolder(dirname(path))
    writeFileAtomic(path, `${JSON.stringify(record)}\n`)
  } catch (error) {
    throw onDisk(path, error)
  }
}

function parse(text: string): VaultRecord | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null
  if (value.kind === 'keychain') return { kind: 'keychain' }
  if (value.kind !== 'file' || !('sealedBy' in value) || !('keyFile' in value)) return null
  const { sealedBy, keyFile } = value
  if (sealedBy === 'passphrase') return { kind: 'file', sealedBy, keyFile: null }
  if (sealedBy !== 'key-file' || typeof keyFile !== 'string') return null
  return { kind: 'file', sealedBy, keyFile }
}
