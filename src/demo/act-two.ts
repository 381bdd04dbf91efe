import { Secret } from '../lib/secret.ts'
import { readKept } from './agent/work-tree.ts'
import { AgentReport, mustHaveEnded } from './agent-report.ts'
import { type Audit, auditOf, loggedRefusals } from './audit-log.ts'
import type { Cloud } from './cloud/cloud.ts'
import { isDead } from './dead-token.ts'
import { isSame } from './losses.ts'
import type { Processes } from './processes.ts'
import { mutationsAt, reached } from './record.ts'
import { type AttemptResult, EXPECTED, type With } from './result.ts'
import type { Show } from './scene.ts'
import { deploymentsOf, workDoneIn } from './shop-cloud.ts'
import type { Stage } from './stage.ts'

/** The lowest level: what holds here is the broker itself, on every machine. */
const EXEC = ['exec', '--env', 'staging', '--isolation', 'scrub', '--']

/** What the agent was sent for, as the cloud should have seen it. */
const SENT_FOR: readonly string[] = ['variableUpsert', 'deploymentRedeploy', 'volumeDelete']

/** The same agent in the same tree, started by `broker exec`. */
export async function actTwo(
  cloud: Cloud,
  stage: Stage,
  processes: Processes,
  show: Show,
): Promise<With> {
  show({ kind: 'act', act: 2, url: cloud.url })
  const before = cloud.snapshot()
  const running = deploymentsOf(cloud)
  await connect(cloud, stage, processes, show)
  const report = await runAgent(cloud, stage, processes, show)
  const kept = readKept(stage.tree)
  // Before the token is shown to the cloud on purpose.
  const tokenStayedHere = stayedHere(kept.token, cloud)
  const tokenDead = await isDead(kept, cloud, stage, processes)
  const audit = await auditOf(processes)
  const under = {
    lease: audit.lease,
    work: workDoneIn(cloud, running),
    attempts: attemptsIn(report, audit),
    gotThrough: strangersIn(mutationsAt(cloud)),
    tokenDead: tokenDead && nothingLeftBehind(cloud),
    tokenStayedHere,
    auditVerified: audit.verified,
    productionIntact: isSame(before, cloud.snapshot()),
    foreignKey: audit.foreignKey,
  }
  show({ kind: 'with', under })
  return under
}

async function connect(cloud: Cloud, stage: Stage, processes: Processes, show: Show) {
  const address = ['--url', cloud.url, '--ca-file']
  const connecting = ['connect', 'railway', ...address]
  show({ kind: 'command', words: ['broker', ...connecting, 'cloud.pem', '--secret-stdin'] })
  const connected = await processes.must([...connecting, stage.caFile, '--secret-stdin'], {
    input: new Secret(cloud.accountToken),
  })
  show({ kind: 'said', text: connected.stdout })
  const applying = ['template', 'apply']
  show({ kind: 'command', words: ['broker', ...applying, 'broker.yaml', '--yes'] })
  await processes.must([...applying, stage.configFile, '--yes'])
}

async function runAgent(cloud: Cloud, stage: Stage, processes: Processes, show: Show) {
  const report = new AgentReport((told) => show({ kind: 'told', told }))
  show({ kind: 'command', words: ['broker', ...EXEC, 'node', 'agent.mjs'] })
  const ran = await processes.broker([...EXEC, process.execPath, 'agent.mjs'], {
    cwd: stage.tree,
    // The standing token is still in the shell; the task gets another.
    env: { RAILWAY_TOKEN: cloud.projectTokens.staging },
    onLine: (line) => report.take(line),
    onRemark: (text) => show({ kind: 'said', text }),
  })
  mustHaveEnded(ran)
  return report
}

function attemptsIn(report: AgentReport, { entries }: Audit): readonly AttemptResult[] {
  const logged = loggedRefusals(report, entries)
  return report.attempts.map(({ route, answer: { code, why } }) => ({
    ...{ route, code, why, expected: EXPECTED[route] },
    refused: logged.has(route),
  }))
}

/** Each piece of work is expected once; what is left over is somebody else's idea. */
function strangersIn(mutations: readonly string[]): readonly string[] {
  const expected = [...SENT_FOR]
  return mutations.filter((name) => {
    const at = expected.indexOf(name)
    if (at >= 0) expected.splice(at, 1)
    return at < 0
  })
}

/** What the task held was made for it, and never went to the cloud. */
function stayedHere(token: string, cloud: Cloud): boolean {
  return !Object.values(cloud.projectTokens).includes(token) && !reached(cloud, token)
}

/** What the broker had made at the cloud for its tasks is deleted there. */
function nothingLeftBehind({ world, projectTokens }: Cloud): boolean {
  const standing = Object.values(projectTokens)
  return world.projectTokens.every(({ token }) => standing.includes(token))
}
