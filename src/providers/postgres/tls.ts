import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { BrokerError } from '../../errors.ts'
import { isLocal, type Server } from './url.ts'

/**
 * TLS as libpq's `sslmode` has it ("SSL Support", table 34.1), with one difference: nothing falls
 * back to a plain connection over a network. Only `disable` sends an admin's session in clear.
 */
export function tlsOptions(connection: string, server: Server): false | ConnectionOptions {
  if (server.host.startsWith('/') || server.sslMode === 'disable') return false
  if (server.sslMode === null || server.sslMode === 'allow' || server.sslMode === 'prefer') {
    return isLocal(server.host) ? false : { rejectUnauthorized: false }
  }
  if (server.sslRootCert === 'system') return {}
  const ca = rootsOf(connection, server)
  if (server.sslMode === 'verify-full') return ca
  if (server.sslMode === 'require' && server.sslRootCert === null)
    return { rejectUnauthorized: false }
  // The chain is checked, the name is not. `require` with roots means the same in libpq.
  return { ...ca, checkServerIdentity: () => undefined }
}

/** True when the certificate is checked, or nothing crosses a network. */
export function isVerified(server: Server): boolean {
  const mode = server.sslMode
  return (
    isLocal(server.host) ||
    mode === 'verify-ca' ||
    mode === 'verify-full' ||
    (mode === 'require' && server.sslRootCert !== null)
  )
}

function rootsOf(connection: string, { ca, sslRootCert }: Server): { ca?: string } {
  if (ca !== null) return { ca }
  return sslRootCert === null ? {} : { ca: readRoots(connection, sslRootCert) }
}

function readRoots(connection: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new BrokerError('provider_failed', `the CA file of "${connection}" cannot be read`, {
      hint: 'check the path after sslrootcert= or --ca-file, and that the daemon may read it',
      details: { connection },
      cause,
    })
  }
}
