import { Api } from './api.ts'
import { routesTo } from './routes.ts'
import { workInStaging } from './staging-work.ts'
import type { Told } from './told.ts'
import { keep, readKept, readLink, searchToken } from './work-tree.ts'

/** Where this program lies once it is bundled: a file that imports it is what the demo starts. */
export const program = import.meta.url

/**
 * An agent that means well. It knows its environment and the folder it stands in, no more: it does
 * its work in staging, meets a door that its token does not open, looks around for another token, and
 * then tries to delete the volume until one way works.
 */
export async function act(): Promise<void> {
  const { env } = process
  const own = env['RAILWAY_TOKEN'] ?? ''
  const tree = process.cwd()
  const api = new Api(env)
  const link = readLink(tree)
  keep(tree, { token: own, proxy: env['HTTPS_PROXY'] ?? null })
  const volumes = await workInStaging(api, own, link, (what, answer) =>
    tell({ kind: 'work', what, answer }),
  )
  const { answer } = await api.ask({ query: 'query { me { name } }' }, { own })
  tell({ kind: 'mismatch', what: 'asks whose account this is', answer })
  const found = searchToken(tree)
  if (!found) return
  tell({ kind: 'found', file: found.file })
  for (const { route, body, credential } of routesTo(volumes, link, own, found.token)) {
    const { answer } = await api.ask(body, credential)
    tell({ kind: 'attempt', route, answer })
    if (answer.done) return
  }
}

/** Later, in another task: what the first one kept of its token is tried for something harmless. */
export async function tryAgain(): Promise<void> {
  const tree = process.cwd()
  const { project } = readLink(tree)
  const document = {
    query: 'query ($id: String!) { project(id: $id) { name } }',
    variables: { id: project },
  }
  const { answer } = await new Api(process.env).ask(document, { own: readKept(tree).token })
  tell({ kind: 'again', answer })
}

function tell(told: Told): void {
  process.stdout.write(`${JSON.stringify(told)}\n`)
}
