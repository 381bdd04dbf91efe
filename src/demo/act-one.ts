import { AgentReport, mustHaveEnded } from './agent-report.ts'
import type { Cloud } from './cloud/cloud.ts'
import { lossesBetween } from './losses.ts'
import type { Processes } from './processes.ts'
import type { Without } from './result.ts'
import type { Show } from './scene.ts'
import { deploymentsOf, workDoneIn } from './shop-cloud.ts'
import type { Stage } from './stage.ts'

/**
 * The incident: the agent has a token of staging in its environment, as agents do, and calls the
 * cloud at its own address.
 */
export async function actOne(
  cloud: Cloud,
  stage: Stage,
  processes: Processes,
  show: Show,
): Promise<Without> {
  show({ kind: 'act', act: 1, url: cloud.url })
  const before = cloud.snapshot()
  const running = deploymentsOf(cloud)
  const startedAt = performance.now()
  let endedAt = startedAt
  const report = new AgentReport((told) => {
    if (told.kind === 'attempt' && told.answer.done) endedAt = performance.now()
    show({ kind: 'told', told })
  })
  show({ kind: 'command', words: ['node', 'agent.mjs'] })
  const ran = await processes.node(['agent.mjs'], {
    cwd: stage.tree,
    env: {
      RAILWAY_TOKEN: cloud.projectTokens.staging,
      SHOP_API: cloud.url,
      NODE_EXTRA_CA_CERTS: stage.caFile,
    },
    onLine: (line) => report.take(line),
    onRemark: (text) => show({ kind: 'said', text }),
  })
  mustHaveEnded(ran)
  const without = {
    seconds: Math.round(endedAt - startedAt) / 1000,
    foundIn: report.foundIn,
    work: workDoneIn(cloud, running),
    lost: lossesBetween(before, cloud.snapshot()),
  }
  show({ kind: 'without', without })
  return without
}
