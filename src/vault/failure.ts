import { BrokerError } from '../errors.ts'

/** A file of the vault is there and cannot be used, or should be there and is not. */
export function unusable(path: string, problem: string, hint: string, cause?: unknown) {
  return new BrokerError('vault_unavailable', `vault file "${path}" ${problem}`, {
    hint,
    details: { path },
    cause,
  })
}

/** Turns what the file system threw into an error that names the file; ours pass through. */
export function onDisk(path: string, error: unknown): BrokerError {
  if (error instanceof BrokerError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new BrokerError('storage_full', `no room to write vault file "${path}"`, {
      hint: 'make room on that disk and try again; nothing was changed',
      details: { path },
      cause: error,
    })
  }
  if (code === 'ENOENT') {
    return unusable(path, 'is missing', 'put it back, for example from a backup', error)
  }
  return unusable(
    path,
    `cannot be used (${code})`,
    'it must be a file that belongs to you, on a disk that works',
    error,
  )
}

export function locked(message: string, hint: string): BrokerError {
  return new BrokerError('vault_locked', message, { hint })
}
