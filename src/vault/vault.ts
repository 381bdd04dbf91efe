import type { Secret } from '../lib/secret.ts'

export type VaultKind = 'keychain' | 'file'

export interface VaultStatus {
  readonly kind: VaultKind
  /** Where it is, for people: "the OS keychain (service broker-…)" or a path. */
  readonly where: string
  /** `passphrase`, `key-file` (weak: the key lies beside the lock) or `os`. */
  readonly sealedBy: 'os' | 'passphrase' | 'key-file'
  readonly locked: boolean
}

/**
 * Where secrets rest. Every method throws `vault_locked` when it can be opened by the user, and
 * `vault_unavailable` when it is gone (a keychain that no longer answers): never a silent change
 * to another kind, and never "no such secret" for a vault that merely did not answer.
 */
export interface Vault {
  status(): Promise<VaultStatus>
  /** Null only when the vault answered and holds no such name. */
  get(name: string): Promise<Secret | null>
  /** Durable when it returns. Replaces. Values may hold any characters. */
  set(name: string, secret: Secret): Promise<void>
  /** True if it was there. May be repeated. */
  delete(name: string): Promise<boolean>
  /** Opens a file sealed by a passphrase. Throws `denied` for a wrong one. */
  unlock(passphrase: Secret): Promise<void>
}
