import type { Secret } from '../../lib/secret.ts'
import type { Server } from './url.ts'

/** Always set. PGSSLMODE and PGSSLROOTCERT follow the admin's URL when that names them. */
export const VARIABLES: readonly string[] = [
  'PGHOST',
  'PGPORT',
  'PGDATABASE',
  'PGUSER',
  'PGPASSWORD',
  'DATABASE_URL',
]

/** The environment of a client (libpq, "Environment Variables"). */
export function clientVariables(
  server: Server,
  database: string,
  user: string,
  password: Secret,
): Readonly<Record<string, string>> {
  return {
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password.reveal(),
    DATABASE_URL: databaseUrl(server, database, user, password.reveal()),
    ...(server.sslMode === null ? {} : { PGSSLMODE: server.sslMode }),
    ...(server.sslRootCert === null ? {} : { PGSSLROOTCERT: server.sslRootCert }),
  }
}

function databaseUrl(server: Server, database: string, user: string, password: string): string {
  const query = [
    ...(server.sslMode === null ? [] : [`sslmode=${server.sslMode}`]),
    ...(server.sslRootCert === null
      ? []
      : [`sslrootcert=${encodeURIComponent(server.sslRootCert)}`]),
  ].join('&')
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`
  return `postgresql://${login}@${urlHost(server.host)}:${server.port}/${pathPart(database)}${query && `?${query}`}`
}

function urlHost(host: string): string {
  if (host.startsWith('/')) return encodeURIComponent(host)
  return host.includes(':') ? `[${host.replace('%', '%25')}]` : host
}

/** Some drivers read the path with `decodeURI`, which leaves `%3B` and its like standing. */
function pathPart(database: string): string {
  return encodeURI(database).replace(/[?#]/g, encodeURIComponent)
}
