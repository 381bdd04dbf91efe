import { createHash, createHmac, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import type { Random } from '../../lib/ids.ts'
import type { Secret } from '../../lib/secret.ts'

const ITERATIONS = 4096
const SALT_BYTES = 16
const derive = promisify(pbkdf2)

/**
 * What PostgreSQL stores for a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`
 * (RFC 5802 §3, RFC 7677; PostgreSQL, "pg_authid"). Sending this instead of the password keeps the
 * password out of the statement, and so out of the server's log. The password must be plain ASCII,
 * which SASLprep leaves as it is.
 */
export async function scramVerifier(password: Secret, random: Random): Promise<string> {
  const salt = Buffer.from(random(SALT_BYTES))
  const salted = await derive(password.reveal(), salt, ITERATIONS, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
