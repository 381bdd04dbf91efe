import pg from 'pg'
import type { Finding } from '../provider.ts'
import { publicRights } from './public-rights.ts'
import type { Session } from './session.ts'
import { isVerified } from './tls.ts'
import { addressOf, type Server } from './url.ts'

const { escapeIdentifier: quote } = pg

interface Rights {
  readonly version: string
  readonly database: string
  readonly createrole: boolean
  readonly inherit: boolean
  readonly signal: boolean
}

/** What the admin role is and what every lease could do beside its grants. Changes nothing. */
export async function findings(
  session: Session,
  server: Server,
  settings: Readonly<Record<string, unknown>>,
): Promise<readonly Finding[]> {
  const rights = await rightsOf(session)
  return [
    {
      level: 'ok',
      message: `PostgreSQL ${rights.version} at "${addressOf(server)}", database ${JSON.stringify(rights.database)}, as ${JSON.stringify(session.admin.name)}`,
      hint: null,
    },
    ...aboutRole(session, rights),
    ...(await aboutTables(session)),
    ...aboutAddress(server, settings),
    ...(await publicRights(session)),
    ...(await aboutAuthentication(session)),
  ]
}

async function rightsOf(session: Session): Promise<Rights> {
  const [rights] = await session.rows<Rights>(
    `SELECT current_setting('server_version') AS version, current_database()::text AS database,
            rolcreaterole AS createrole, rolinherit AS inherit,
            pg_has_role('pg_signal_backend', 'USAGE') AS signal
     FROM pg_roles WHERE rolname = current_user`,
  )
  return rights ?? { version: '', database: '', createrole: false, inherit: false, signal: false }
}

function aboutRole({ admin }: Session, rights: Rights): readonly Finding[] {
  if (admin.super) return [tooMuch(rights.database)]
  const name = quote(admin.name)
  const findings: Finding[] = []
  if (!rights.createrole) {
    findings.push({
      level: 'problem',
      message: `${JSON.stringify(admin.name)} may not create roles, so nothing can be issued`,
      hint: `as a superuser run: ALTER ROLE ${name} CREATEROLE;`,
    })
  }
  if (!rights.inherit) {
    findings.push({
      level: 'problem',
      message: `${JSON.stringify(admin.name)} does not inherit, so it could not end what it issued`,
      hint: `as a superuser run: ALTER ROLE ${name} INHERIT;`,
    })
  }
  if (!rights.signal) {
    findings.push({
      level: 'note',
      message:
        "sessions are ended through membership in the lease's role, which a hostile client can delay",
      hint: `as a superuser run: GRANT pg_signal_backend TO ${name};`,
    })
  }
  return findings
}

/** What the role may pass on is the most that a lease can get. */
async function aboutTables(session: Session): Promise<readonly Finding[]> {
  const [row] = await session.rows<{ grantable: number; total: number }>(
    `SELECT count(*)::int4 AS total, count(*) FILTER (
              WHERE has_table_privilege(c.oid, 'SELECT WITH GRANT OPTION'))::int4 AS grantable
     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`,
  )
  if (!row || row.grantable === row.total) return []
  return [
    {
      level: row.grantable === 0 ? 'problem' : 'note',
      message: `leases can get rights on ${row.grantable} of ${row.total} tables: the role may not pass on the others`,
      hint: `as their owner run: GRANT … ON ALL TABLES IN SCHEMA … TO ${quote(session.admin.name)} WITH GRANT OPTION;`,
    },
  ]
}

function tooMuch(database: string): Finding {
  return {
    level: 'warning',
    message: 'the role is a superuser, which is more than needed',
    hint: [
      'a narrower one:',
      'CREATE ROLE credential_admin LOGIN CREATEROLE;',
      'GRANT pg_signal_backend TO credential_admin;',
      `GRANT CONNECT ON DATABASE ${quote(database)} TO credential_admin WITH GRANT OPTION;`,
      'then for each schema: GRANT USAGE ON SCHEMA … TO credential_admin WITH GRANT OPTION;',
      'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO credential_admin WITH GRANT OPTION;',
      'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA … TO credential_admin WITH GRANT OPTION;',
      'and its password with \\password credential_admin',
    ].join(' '),
  }
}

function aboutAddress(
  server: Server,
  settings: Readonly<Record<string, unknown>>,
): readonly Finding[] {
  const findings: Finding[] = []
  if (server.sslMode === 'disable' && !server.host.startsWith('/') && !isVerified(server)) {
    findings.push({
      level: 'warning',
      message: 'the connection is not encrypted',
      hint: 'use sslmode=verify-full and sslrootcert in the URL',
    })
  } else if (!isVerified(server)) {
    findings.push({
      level: 'warning',
      message: "the server's certificate is not checked",
      hint: 'use sslmode=verify-full and sslrootcert in the URL',
    })
  }
  if (settings['url'] !== undefined) {
    findings.push({
      level: 'note',
      message: 'the setting "url" is not used: the address is part of the secret',
      hint: null,
    })
  }
  return findings
}

/** Where the server asks for no password, VALID UNTIL and the password end nothing. */
async function aboutAuthentication(session: Session): Promise<readonly Finding[]> {
  const readable = session.admin.super
    ? await session.rows<{ line: number; method: string }>(
        `SELECT line_number AS line, auth_method AS method FROM pg_hba_file_rules
         WHERE auth_method IN ('trust', 'peer', 'ident', 'cert') AND error IS NULL ORDER BY 1`,
      )
    : null
  if (readable === null) {
    return [
      {
        level: 'note',
        message:
          'pg_hba.conf cannot be seen by this role: where it says trust, passwords and expiry are not checked',
        hint: 'as a superuser run: SELECT * FROM pg_hba_file_rules;',
      },
    ]
  }
  return readable
    .filter(({ method }) => method === 'trust')
    .map(({ line }) => ({
      level: 'warning' as const,
      message: `pg_hba.conf line ${line} says trust: there passwords and expiry are not checked`,
      hint: 'use scram-sha-256 there',
    }))
}
