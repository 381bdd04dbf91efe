// The age format (https://age-encryption.org/v1), so that a person can open the vault without us:
// `age -d vault.key.age`, then `age -d -i KEY vault.age`.
import type { Decrypter } from 'age-encryption'
import { Secret } from '../lib/secret.ts'

/** Loading it takes as long as the daemon's whole start, so only the first secret pays. */
const age = () => import('age-encryption')

/** A new X25519 identity, in the text form of a key file. */
export async function newIdentity(): Promise<Secret> {
  const { generateX25519Identity } = await age()
  return new Secret(await generateX25519Identity())
}

/** Encrypts to the identity's own public half. Quick: no passphrase is involved. */
export async function encryptTo(identity: Secret, plain: string): Promise<Uint8Array> {
  const { Encrypter, identityToRecipient } = await age()
  const encrypter = new Encrypter()
  encrypter.addRecipient(await identityToRecipient(identity.reveal()))
  return encrypter.encrypt(plain)
}

/** Null: a whole age header, made for another identity. Throws for anything damaged or cut off. */
export async function decryptWith(identity: Secret, sealed: Uint8Array): Promise<string | null> {
  return decrypt(sealed, (decrypter) => decrypter.addIdentity(identity.reveal()))
}

/** Seals by scrypt with age's own work factor (2^18): about a second, so once per vault. */
export async function sealBy(passphrase: Secret, identity: Secret): Promise<Uint8Array> {
  const { Encrypter } = await age()
  const encrypter = new Encrypter()
  encrypter.setPassphrase(passphrase.reveal())
  return encrypter.encrypt(`${identity.reveal()}\n`)
}

/** Null: another passphrase sealed it. Throws for anything damaged or cut off. Takes about a second. */
export async function unsealBy(passphrase: Secret, sealed: Uint8Array): Promise<Secret | null> {
  const text = await decrypt(sealed, (decrypter) => decrypter.addPassphrase(passphrase.reveal()))
  return text === null ? null : parseIdentity(text)
}

/** The one identity in the text of a key file; `#` starts a comment. Throws for none or several. */
export function parseIdentity(text: string): Secret {
  const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'))
  const [line] = lines
  if (lines.length !== 1 || line === undefined || !/^AGE-SECRET-KEY-1[0-9A-Z]{58}$/.test(line)) {
    throw new Error('not exactly one age X25519 identity')
  }
  return new Secret(line)
}

async function decrypt(
  sealed: Uint8Array,
  addKey: (decrypter: Decrypter) => void,
): Promise<string | null> {
  const { Decrypter } = await age()
  const decrypter = new Decrypter()
  addKey(decrypter)
  // Asked only after our key did not fit a header that could be read: tells "wrong" from "damaged".
  let wrongKey = false
  decrypter.addIdentity({
    unwrapFileKey: () => {
      wrongKey = true
      return null
    },
  })
  try {
    return await decrypter.decrypt(sealed, 'text')
  } catch (error) {
    if (wrongKey) return null
    throw error
  }
}
