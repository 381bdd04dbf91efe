import { CHARSETS, type PhantomForm } from '../../core/rest/definition.ts'
import type { Random } from '../../lib/ids.ts'
import { Secret } from '../../lib/secret.ts'

/** What a task holds: random, in the provider's own form, worth something at our proxy alone. */
export function newPhantom({ prefix, length, charset }: PhantomForm, random: Random): Secret {
  const alphabet = CHARSETS[charset]
  // Bytes beyond the last whole round of the alphabet would make its first letters likelier.
  const fair = 256 - (256 % alphabet.length)
  let text = prefix
  while (text.length < length) {
    for (const byte of random(length)) {
      if (byte < fair && text.length < length) text += alphabet.charAt(byte % alphabet.length)
    }
  }
  return new Secret(text)
}
