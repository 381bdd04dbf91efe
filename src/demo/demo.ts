import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { BrokerError } from '../errors.ts'
import { actOne } from './act-one.ts'
import { actThree } from './act-three.ts'
import { actTwo } from './act-two.ts'
import type { Cloud } from './cloud/cloud.ts'
import { Processes } from './processes.ts'
import { type DemoResult, resultOf } from './result.ts'
import type { Show } from './scene.ts'
import { startShop } from './shop-cloud.ts'
import { buildStage, furnish, type Stage } from './stage.ts'

/** It takes a tenth of that, also on a slow machine. */
const LONGEST_MS = 120_000

export interface DemoOptions {
  /** bin/run.js of this package. */
  readonly bin: string
  /** Leaves the folder behind. */
  readonly keep: boolean
  /** Ends the demo early: what was started is ended, then this rejects with the signal's reason. */
  readonly signal: AbortSignal
  readonly show: Show
}

/**
 * Replays the incident on a cloud of its own, with a broker of its own in a temp folder: without the
 * broker, with it, and around it. However it ends, nothing of it is left running, and its folder is removed. Throws
 * `internal` where it could not be played to its end; a claim that did not hold is in the result.
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { bin, keep } = options
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(LONGEST_MS)])
  // A file of its own once it is bundled: the agent's process starts from it.
  const { program } = await import('./agent/agent.ts')
  const stage = buildStage(program)
  const processes = new Processes(bin, stage, signal)
  const remove = () => {
    if (!keep) rmSync(stage.folder, { recursive: true, force: true, maxRetries: 3 })
  }
  // Whoever ends this process without waiting (a closed pipe does) leaves nothing behind either.
  const atExit = () => {
    processes.endNow()
    remove()
  }
  process.once('exit', atExit)
  try {
    return await play(options, stage, processes)
  } catch (error) {
    // Why it was stopped, and not what failed because of it.
    options.signal.throwIfAborted()
    throw signal.aborted ? tooLong(error) : error
  } finally {
    await processes.end()
    remove()
    process.off('exit', atExit)
  }
}

async function play({ show, keep }: DemoOptions, stage: Stage, processes: Processes) {
  const seed = randomUUID()
  const inShop = async <T>(act: (cloud: Cloud) => Promise<T>): Promise<T> => {
    const cloud = await startShop(seed)
    try {
      furnish(stage, cloud)
      return await act(cloud)
    } finally {
      // What the broker has at the cloud is ended while the cloud is there.
      await processes.end()
      await cloud.close()
    }
  }
  show({ kind: 'opening', folder: stage.folder })
  const without = await inShop((cloud) => actOne(cloud, stage, processes, show))
  const [under, around] = await inShop(async (cloud) => [
    await actTwo(cloud, stage, processes, show),
    await actThree(cloud, stage, processes, show),
  ])
  const result = resultOf(without, under, around, keep ? stage.folder : null)
  show({ kind: 'closing', result })
  return result
}

function tooLong(cause: unknown): BrokerError {
  return new BrokerError('internal', 'the demo was given up after two minutes', {
    hint: 'run it again on a machine that is less busy',
    cause,
  })
}
