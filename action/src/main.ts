import { appendPairs, writeGithub } from '../../src/ci/github-files.ts'
import { githubToken } from '../../src/ci/github-identity.ts'
import { maskLines, secretValues } from '../../src/ci/masks.ts'
import { type Taken, type TakeOptions, takeLease } from '../../src/ci/take.ts'
import { whyUnreachable } from '../../src/client/server-failure.ts'
import { BrokerError } from '../../src/errors.ts'
import { Secret } from '../../src/lib/secret.ts'
import { type Inputs, readInputs } from './inputs.ts'
import { fail, print, say } from './log.ts'
import { saveState } from './state.ts'

/** The runner cancels a step with SIGINT, SIGTERM 7.5 s later, and ends it 2.5 s after that. */
const cancelled = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => cancelled.abort(wasCancelled()))
}

try {
  await run(readInputs(process.env))
} catch (error) {
  await fail(cancelled.signal.aborted ? wasCancelled() : error)
  process.exitCode = 1
}

async function run(inputs: Inputs): Promise<void> {
  const { server, wish } = inputs
  const subject = await githubToken(process.env, inputs)
  await print(maskLines([subject.reveal()]))
  const options: TakeOptions = {
    env: process.env,
    signal: cancelled.signal,
    onLease: async (held) => {
      await print(maskLines([held.handle.reveal()]))
      saveState(process.env, { server, ...held })
    },
  }
  const deliverIt = (taken: Taken) => deliver(inputs, taken)
  const { lease } = await takeLease(server, subject, wish, deliverIt, options).catch((error) => {
    throw whyUnreachable(server, error)
  })
  const grants = lease.grants.map(({ name }) => name).join(', ')
  await say(
    `lease ${lease.id} · ${lease.environment} · template ${lease.template.name} · ${grants} · until ${lease.expiresAt}`,
  )
}

/** The masks come before everything else that holds a secret: the runner reads in this order. */
async function deliver({ caFile, ...inputs }: Inputs, { lease, variables }: Taken): Promise<void> {
  const roots = caFile === undefined ? {} : { BROKER_CA_FILE: caFile }
  const all = new Secret({ ...variables.reveal(), ...roots })
  await print(maskLines(secretValues(all).reveal()))
  if (inputs.export) return writeGithub(process.env, { lease, variables: all })
  const text = JSON.stringify(all.reveal())
  await print(maskLines([text]))
  appendPairs(process.env, 'GITHUB_OUTPUT', [
    ['lease', lease.id],
    ['expires-at', lease.expiresAt],
    ['variables', text],
  ])
}

function wasCancelled(): BrokerError {
  return new BrokerError('denied', 'the step was cancelled', {
    hint: 'what it had got is revoked now; the end of the job makes sure of it',
  })
}
