import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'

/**
 * Refuses what some vault would store as something else: keychains end a name at NUL, and half a
 * surrogate pair has no UTF-8. Throws `invalid_request`.
 */
export function checkText(name: string, secret: Secret): void {
  checkName(name)
  if (secret.reveal().isWellFormed()) return
  throw new BrokerError('invalid_request', `the secret "${name}" is not well-formed text`, {
    hint: 'secrets are Unicode text; encode bytes, for example in base64',
  })
}

export function checkName(name: string): void {
  if (name !== '' && name.isWellFormed() && !name.includes('\0')) return
  throw new BrokerError('invalid_request', 'a secret needs a name without NUL characters', {
    hint: 'choose another name',
  })
}
