import { constants } from 'node:os'
import type { Wish } from '../ci/exchange.ts'
import type { Credentials, Format } from '../ci/format.ts'
import { maskLines } from '../ci/masks.ts'
import { findSubjectToken } from '../ci/subject-token.ts'
import { type Taken, takeLease } from '../ci/take.ts'
import type { Server } from '../client/server.ts'
import { whyUnreachable } from '../client/server-failure.ts'
import { Secret } from '../lib/secret.ts'
import { Interrupted } from './interrupted.ts'
import { remark, writeWhole } from './terminal.ts'

export interface JobTerms {
  readonly env: NodeJS.ProcessEnv
  readonly format: Format
  readonly wish: Wish
  readonly audience: string | undefined
  readonly tokenFile: string | undefined
  /** File with the roots of the server that later commands of the job need, too. */
  readonly roots: string | undefined
}

/**
 * Finds the identity of this job, exchanges it at `server` and hands over what comes of it; revoked if
 * that fails or a signal comes before its end.
 */
export async function jobToken(
  server: Server,
  terms: JobTerms,
  deliver: (credentials: Credentials) => Promise<void>,
): Promise<Taken> {
  const { env, format, wish, tokenFile } = terms
  const { token } = await findSubjectToken(env, {
    audience: terms.audience ?? server.url,
    ...(tokenFile !== undefined && { tokenFile, stdin: process.stdin }),
  })
  // The runner asks nothing of us, but whoever prints it later by mistake is helped.
  if (format === 'github') await writeWhole(maskLines([token.reveal()]))
  const options = { env, signal: interruption(format === 'json') }
  const handOn = ({ lease, variables }: Taken) => {
    const roots = terms.roots === undefined ? {} : { BROKER_CA_FILE: terms.roots }
    return deliver({ lease, variables: new Secret({ ...variables.reveal(), ...roots }) })
  }
  return takeLease(server, token, wish, handOn, options).catch((error: unknown) => {
    throw whyUnreachable(server, error)
  })
}

function interruption(quiet: boolean): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const exit = 128 + constants.signals[signal]
    process.once(signal, () => {
      if (!quiet)
        remark([
          `broker: ${signal}, what was issued is given back; once more leaves that to the server`,
        ])
      stop.abort(new Interrupted('interrupted', exit))
    })
  }
  return stop.signal
}
