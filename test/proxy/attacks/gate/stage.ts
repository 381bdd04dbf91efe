import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { revoke } from '../../../../src/broker/revoke.ts'
import type { GrantRule } from '../../../../src/core/template.ts'
import type { Cloud } from '../../../../src/demo/cloud/cloud.ts'
import { Furnisher } from '../../../../src/demo/cloud/furnish.ts'
import { newMaker } from '../../../../src/demo/cloud/maker.ts'
import type { RecordedRequest } from '../../../../src/demo/cloud/record.ts'
import type { CloudWorld } from '../../../../src/demo/cloud/world.ts'
import type { Json } from '../../../../src/lib/json.ts'
import { railwayCatalogue } from '../../../../src/providers/railway/catalogue/catalogue.ts'
import { Guarded, type GuardedTask } from '../../../fixtures/guarded.ts'
import type { GateAttack, LeaseKind } from './attack.ts'
import { WIPE_BODY } from './attack.ts'
import { fillJson, type Names } from './names.ts'

const EVERYTHING = [...railwayCatalogue.operations.keys()]

const RULES: Readonly<Record<LeaseKind, Partial<GrantRule>>> = {
  wide: { allow: EVERYTHING },
  narrow: {
    allow: ['read', 'deploymentRedeploy', 'deploymentRestart'],
    approve: ['serviceInstanceRedeploy'],
  },
  writer: { allow: ['read', 'write', 'variableCollectionUpsert'] },
  listed: { allow: ['read'] },
}

export interface Entry {
  readonly type: string
  readonly data: Readonly<Record<string, Json>>
}

/** A cloud, a broker before it, the task that attacks, and two more that it has no business with. */
export class Stage {
  readonly guarded: Guarded
  readonly task: GuardedTask
  readonly names: Names
  /** What arrived while the leases were made. */
  readonly #opened: number

  constructor(guarded: Guarded, task: GuardedTask, names: Names) {
    this.#opened = guarded.cloud.record.length
    this.guarded = guarded
    this.task = task
    this.names = names
  }

  static async open(kind: LeaseKind): Promise<Stage> {
    const own: Record<string, string> = {}
    const guarded = await Guarded.start({
      rule: RULES[kind],
      cloud: { furnish: (world, ids) => Object.assign(own, addServices(world, ids)) },
      ...(kind === 'listed' && { template: { egress: ['api.example', '*.listed.example'] } }),
    })
    const task = await guarded.issue()
    const other = await guarded.issue()
    const ended = await guarded.issue()
    await revoke(guarded.context, ended.lease.id, 'revoked_by_operator')
    const { cloud } = guarded
    const backupOf = (instance: string) =>
      cloud.world.backups.find(({ volumeInstanceId }) => volumeInstanceId === instance)?.id ?? ''
    return new Stage(guarded, task, {
      ...cloud.ids,
      ...own,
      backup: backupOf(cloud.ids.pgdataProduction),
      cacheBackup: backupOf(cloud.ids.cacheStaging),
      port: new URL(cloud.url).port,
      listener: String(task.port),
      phantom: task.phantom,
      minted: task.minted,
      otherPhantom: other.phantom,
      otherMinted: other.minted,
      endedPhantom: ended.phantom,
      accountToken: cloud.accountToken,
      productionCi: cloud.projectTokens.production,
      stagingCi: cloud.projectTokens.staging,
      wipeLength: String(WIPE_BODY.length - '«pgdata»'.length + cloud.ids.pgdata.length),
    })
  }

  close(): Promise<void> {
    return this.guarded.dispose()
  }

  /** What the task must never see, and nobody may write down. */
  get secrets(): readonly string[] {
    const { accountToken, minted, otherMinted, productionCi, stagingCi } = this.names
    return [accountToken, minted, otherMinted, productionCi, stagingCi].map((one) => one ?? '')
  }

  get phantoms(): readonly string[] {
    const { phantom, otherPhantom, endedPhantom } = this.names
    return [phantom, otherPhantom, endedPhantom].map((one) => one ?? '')
  }

  /** All that lives in the cloud, secrets and all. */
  world(): string {
    return JSON.stringify(this.guarded.cloud.world)
  }

  /** What arrived upstream and was not asked by the broker itself, with the key it holds. */
  get arrived(): readonly RecordedRequest[] {
    return this.guarded.cloud.record.slice(this.#opened).filter((request) => !isOwn(request))
  }

  /** Somebody with an account stages something; returns how to take it back. */
  stageFirst({ staged }: GateAttack): () => void {
    const { patches } = this.guarded.cloud.world
    if (!staged) return () => {}
    const now = new Date().toISOString()
    const id = '11111111-1111-4111-8111-111111111111'
    const filled = fillJson(staged as never, this.names) as unknown as {
      environment: string
      patch: { [key: string]: Json }
    }
    patches.push({
      ...{ id, createdAt: now, updatedAt: now, status: 'STAGED', message: null },
      environmentId: filled.environment,
      patch: filled.patch,
    })
    return () => patches.splice(0, patches.length)
  }

  /** The sequence number behind which everything is new. */
  async mark(): Promise<number> {
    const entries = await this.#entries(0)
    return entries.at(-1)?.seq ?? 0
  }

  async entriesSince(mark: number): Promise<readonly Entry[]> {
    return (await this.#entries(mark)).map(({ type, data }) => ({ type, data: JSON.parse(data) }))
  }

  #entries(after: number) {
    const lease = this.task.lease.id
    return this.guarded.context.store.read.entries({ lease, after, limit: 10_000 })
  }

  /** Every byte that the broker keeps on disk, and all that it logged. */
  kept(): string {
    const { folder, errors } = this.guarded.context
    const files = readdirSync(folder).filter((name) => name.startsWith('broker.sqlite'))
    if (files.length === 0) throw new Error('there is no database to look into')
    const bytes = files.map((name) => readFileSync(join(folder, name)).toString('latin1'))
    return [...bytes, ...errors.map((error) => errorText(error))].join('\n')
  }
}

/** Beside those that staging and production share: one that is staging's alone, and one of production. */
function addServices(world: CloudWorld, ids: Cloud['ids']): Names {
  const add = new Furnisher(world, newMaker())
  const at = (id: string) => {
    const place = world.environments.find((each) => each.id === id)
    if (!place) throw new Error('there is no such environment')
    return place
  }
  const project = world.projects.find(({ id }) => id === ids.shop)
  if (!project) throw new Error('there is no shop')
  const [worker, ledger] = [add.service(project, 'worker'), add.service(project, 'ledger')]
  add.instance(worker, at(ids.staging))
  add.instance(ledger, at(ids.production))
  return { worker: worker.id, ledger: ledger.id }
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? ''
  return `${error.stack} ${JSON.stringify(error)} ${error.cause ? errorText(error.cause) : ''}`
}

/** The broker's own questions say so, and are questions. */
function isOwn({ headers, body }: RecordedRequest): boolean {
  const agent = headers.find(([name]) => name.toLowerCase() === 'user-agent')?.[1]
  return agent === 'broker' && body.startsWith('{"query":"query{')
}
