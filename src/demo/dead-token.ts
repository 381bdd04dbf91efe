import { request } from 'node:https'
import { connect } from 'node:net'
import type { Kept } from './agent/work-tree.ts'
import { AgentReport, mustHaveEnded } from './agent-report.ts'
import type { Cloud } from './cloud/cloud.ts'
import type { Processes } from './processes.ts'
import type { Stage } from './stage.ts'

/**
 * Tries the token of a task that has ended in every place where it could be worth something: at the
 * task's proxy, which should be gone; through the proxy of another task; at the cloud itself.
 */
export async function isDead(
  { token, proxy }: Kept,
  cloud: Cloud,
  stage: Stage,
  processes: Processes,
): Promise<boolean> {
  if (proxy === null) return false
  const gone = await isClosed(new URL(proxy))
  const refused = await isRefusedElsewhere(stage, processes)
  return gone && refused && (await opensNothing(token, cloud))
}

function isClosed({ hostname, port }: URL): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

async function isRefusedElsewhere(stage: Stage, processes: Processes): Promise<boolean> {
  const report = new AgentReport(() => {})
  const task = ['exec', '--quiet', '--env', 'staging', '--isolation', 'scrub', '--']
  const ran = await processes.broker([...task, process.execPath, 'again.mjs'], {
    cwd: stage.tree,
    onLine: (line) => report.take(line),
  })
  mustHaveEnded(ran)
  const [told] = report.all
  return told?.kind === 'again' && told.answer.byBroker && told.answer.code === 'foreign_credential'
}

/** Asked without any broker; the answer is read from the cloud's own record. */
async function opensNothing(token: string, { url, ca, record }: Cloud): Promise<boolean> {
  const seen = record.length
  await new Promise<void>((resolve, reject) => {
    const asking = request(`${url}/graphql/v2`, {
      method: 'POST',
      ca,
      agent: false, // the shared one would obey a proxy of the person's environment
      headers: { 'content-type': 'application/json', 'project-access-token': token },
    })
    asking.once('error', reject)
    asking.once('response', (response) => response.resume().once('end', resolve))
    asking.end(JSON.stringify({ query: 'query { projectToken { id } }' }))
  })
  return record.length === seen + 1 && record[seen]?.authorised === null
}
