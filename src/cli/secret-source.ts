import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import { readSecret } from './input.ts'
import { askSecret, canAsk } from './prompts.ts'

/** Throws `usage` where a question would hang a script. What is piped in unasked is not guessed at. */
export function requireSomebodyToAsk(): void {
  if (canAsk()) return
  throw new BrokerError('usage', 'the secret cannot be asked for: standard input is no terminal', {
    hint: 'pipe it in: printf %s "$SECRET" | broker connect … --secret-stdin',
  })
}

/** The secret from standard input, or typed without echo. Never empty. */
export async function secretFrom(prompt: string, piped: boolean): Promise<Secret> {
  if (piped) return readSecret()
  const secret = await askSecret(`${prompt}:`)
  if (secret.reveal() !== '') return secret
  throw new BrokerError('usage', 'the secret is empty', {
    hint: 'type or paste it; nothing is shown while you do',
  })
}
