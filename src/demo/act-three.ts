import { randomBytes } from 'node:crypto'
import { mustHaveEnded } from './agent-report.ts'
import { BYPASS_FILE, instruct, plant } from './bypass/plant.ts'
import { type Around, ENDS, type ThirdAct } from './bypass/result.ts'
import type { Tried, Way } from './bypass/terms.ts'
import { wallsMissing } from './bypass/walls-here.ts'
import type { Cloud } from './cloud/cloud.ts'
import { isSame, lossesBetween } from './losses.ts'
import type { Processes } from './processes.ts'
import { reached } from './record.ts'
import { keepsakeOf } from './restore.ts'
import type { Show } from './scene.ts'
import type { Stage } from './stage.ts'

type Level = 'scrub' | 'confine'

/** Act two has shown what the broker says at the end of such a task. */
const KNOWN = /^broker: (?:a key that is not this lease's|revoked in) /

interface Theatre {
  readonly cloud: Cloud
  readonly stage: Stage
  readonly processes: Processes
  readonly show: Show
}

interface Ended {
  readonly codes: ReadonlyMap<Way, string | null>
  /** From the start of `broker exec` to the end of production. */
  readonly seconds: number
  /** Something that it sent arrived. */
  readonly reachedCloud: boolean
}

/**
 * The agent goes around the broker that act two has set up. Once without walls, where it has to
 * succeed, and once behind them. Left out, with the reason, where this machine builds none.
 */
export async function actThree(
  cloud: Cloud,
  stage: Stage,
  processes: Processes,
  show: Show,
): Promise<ThirdAct> {
  const leftOut = await wallsMissing(processes, stage)
  if (leftOut) {
    show({ kind: 'left-out', leftOut })
    return { leftOut }
  }
  show({ kind: 'act', act: 3, url: cloud.url })
  // A file of its own once it is bundled: a copy of it is what the agent runs.
  const { program } = await import('./bypass/program.ts')
  plant(stage, cloud, program)
  const around = await bothWays({ cloud, stage, processes, show })
  show({ kind: 'around', around })
  return around
}

async function bothWays(theatre: Theatre): Promise<Around> {
  const { cloud, processes, show } = theatre
  const before = cloud.snapshot()
  const putBack = keepsakeOf(cloud.world)
  const open = await goAround(theatre, 'scrub')
  const bare = { seconds: open.seconds, lost: lossesBetween(before, cloud.snapshot()) }
  show({ kind: 'bare', bare })
  putBack()
  const shut = await goAround(theatre, 'confine')
  const { lease, level } = await latestLease(processes)
  const productionIntact = isSame(before, cloud.snapshot())
  return {
    lease,
    ways: (Object.keys(ENDS) as Way[]).map((way) => ({
      way,
      bare: open.codes.get(way),
      walled: shut.codes.get(way),
    })),
    bare,
    walled: { level, reachedCloud: shut.reachedCloud, productionIntact },
  }
}

async function goAround({ cloud, stage, processes, show }: Theatre, level: Level): Promise<Ended> {
  const mark = `bypass${randomBytes(8).toString('hex')}`
  instruct(stage, cloud, mark)
  const codes = new Map<Way, string | null>()
  const startedAt = performance.now()
  let endedAt = startedAt
  const exec = ['exec', '--env', 'staging', '--isolation', level, '--']
  show({ kind: 'command', words: ['broker', ...exec, 'node', BYPASS_FILE] })
  const ran = await processes.broker([...exec, process.execPath, BYPASS_FILE], {
    cwd: stage.tree,
    // A person's shell has it, and the task does not get it.
    env: { RAILWAY_API_TOKEN: cloud.accountToken },
    onLine: (line) => {
      const tried: Tried = JSON.parse(line)
      if (tried.kind === 'tried') codes.set(tried.way, tried.code)
      if (tried.kind === 'tried' && tried.way === 'address') endedAt = performance.now()
      show({ kind: 'tried', tried, level })
    },
    onRemark: (text) => {
      if (!KNOWN.test(text)) show({ kind: 'said', text })
    },
  })
  mustHaveEnded(ran)
  const seconds = Math.round(endedAt - startedAt) / 1000
  return { codes, seconds, reachedCloud: reached(cloud, mark) }
}

async function latestLease(processes: Processes) {
  const { leases } = await processes.json<{
    leases: readonly { readonly id: string; readonly isolation: string }[]
  }>(['tokens', '--all'])
  const [latest] = leases
  return { lease: latest?.id ?? '', level: latest?.isolation ?? 'none' }
}
