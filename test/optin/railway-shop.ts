import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import type { RecordedRequest } from '../../src/demo/cloud/record.ts'
import { type Result, statusOf } from '../fixtures/broker.ts'
import { Product } from '../fixtures/product.ts'
import type { RailwayCli } from './railway-cli.ts'

/** `everyday` may not delete; `sweeper` may, and then it matters what lies where. */
function configText({ shop, staging }: Cloud['ids']): string {
  const work = `read, secret, deploymentRedeploy, deploymentRestart, serviceDomainCreate,
          serviceInstanceDeployV2, up, variableUpsert, variableCollectionUpsert`
  return `version: 1
environments:
  staging:
    railway: { connection: railway, project: ${shop}, environment: ${staging} }
templates:
  everyday:
    default: true
    environments: [staging]
    ttl: 10m
    grants:
      railway: { allow: [${work}] }
  sweeper:
    environments: [staging]
    ttl: 10m
    grants:
      railway: { allow: [read, volumeDelete] }
  fenced:
    environments: [staging]
    ttl: 10m
    egress: [nowhere.example]
    grants:
      railway: { allow: [read] }
`
}

/** A shop in the demo's cloud, a broker in front of it, and somebody who uses Railway's own CLI. */
export class RailwayShop extends Product {
  readonly cloud: Cloud
  /** Where the source tree lies that is uploaded. */
  readonly tree = join(this.folder, 'tree')
  readonly #cli: RailwayCli
  readonly #seen = join(this.folder, 'seen-tokens')

  private constructor(cloud: Cloud, cli: RailwayCli) {
    super()
    this.cloud = cloud
    this.#cli = cli
  }

  static async open(cli: RailwayCli): Promise<RailwayShop> {
    // Where the broker alone stands in the way: this cloud's project tokens refuse nothing that is shared.
    const shop = new RailwayShop(await startCloud({ projectTokens: 'shared' }), cli)
    mkdirSync(shop.tree)
    writeFileSync(join(shop.tree, 'server.js'), 'console.log("listening")\n')
    const caFile = join(shop.folder, 'cloud.pem')
    writeFileSync(caFile, shop.cloud.ca)
    const address = ['--url', shop.cloud.url, '--ca-file', caFile]
    await shop.must(['connect', 'railway', ...address, '--secret-stdin'], {
      input: shop.cloud.accountToken,
    })
    await shop.prepare(configText(shop.cloud.ids))
    return shop
  }

  /** `broker exec --env staging -- railway …`, and what arrived at the cloud meanwhile. */
  railway(args: readonly string[], flags: readonly string[] = []): Promise<Ran> {
    return this.script('exec "$@"', [this.#cli.path, ...args], flags)
  }

  /** The same with a script around it: "$@" is the command. */
  async script(
    script: string,
    command: readonly string[],
    flags: readonly string[] = [],
  ): Promise<Ran> {
    const note = `printenv RAILWAY_TOKEN >> '${this.#seen}'`
    const before = this.cloud.record.length
    const result = await this.exec(['sh', '-c', `${note}; ${script}`, 'sh', ...command], flags, {
      cwd: this.tree,
    })
    return { ...result, arrived: this.cloud.record.slice(before) }
  }

  /**
   * The same in a terminal (`script` of util-linux makes one), where the CLI follows what it shows.
   * Ends when it is told to.
   */
  terminal(args: readonly string[]): Terminal {
    const before = this.cloud.record.length
    const command = `printenv RAILWAY_TOKEN >> '${this.#seen}'; exec ${[this.#cli.path, ...args].join(' ')}`
    const exec = ['exec', '--env', 'staging', '--']
    const child = this.spawn([...exec, 'script', '-qec', command, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.tree,
    })
    let shown = ''
    child.stdout?.on('data', (chunk) => {
      shown += chunk
    })
    const ended = statusOf(child)
    return {
      shown: () => shown,
      arrived: () => this.cloud.record.slice(before),
      end: () => {
        child.kill('SIGTERM')
        return ended
      },
    }
  }

  /** The path of the CLI, for scripts. */
  get program(): string {
    return this.#cli.path
  }

  /** Every token that a task was given. */
  phantoms(): readonly string[] {
    return readFileSync(this.#seen, 'utf8').split('\n').filter(Boolean)
  }

  override async dispose(): Promise<void> {
    await super.dispose()
    await this.cloud.close()
  }
}

export interface Terminal {
  shown(): string
  arrived(): readonly RecordedRequest[]
  end(): Promise<number>
}

export interface Ran extends Result {
  readonly arrived: readonly RecordedRequest[]
}

/** The names of the mutations that reached the cloud from the task, not from the broker itself. */
export function mutationsIn({ arrived }: Pick<Ran, 'arrived'>): readonly string[] {
  return arrived.flatMap(({ body }) => {
    const name = /^\{"query":"mutation (\w+)/.exec(body)?.[1]
    return name ? [name] : []
  })
}
