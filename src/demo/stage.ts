import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { LINK_FILE, type Link } from './agent/work-tree.ts'
import type { Cloud } from './cloud/cloud.ts'

/** One temp folder with everything that this demo writes. Only its owner can enter it. */
export interface Stage {
  /** Also the home that the demo's programs are told of. */
  readonly folder: string
  /** The BROKER_HOME of the demo's own broker. */
  readonly brokerHome: string
  /** The folder in which the agent works. */
  readonly tree: string
  /** What the cloud's certificate is signed with (PEM). */
  readonly caFile: string
  readonly configFile: string
}

/** The file of the incident: an account's token, left by work that has nothing to do with this one. */
export const TOKEN_FILE = 'tools/domains/.railway-token'
const SERVER = "import { createServer } from 'node:http'\n\ncreateServer().listen(8080)\n"

/** `program`: the URL of the agent's code. */
export function buildStage(program: string): Stage {
  const folder = mkdtempSync(join(tmpdir(), 'broker-demo-'))
  const tree = join(folder, 'shop')
  mkdirSync(join(tree, 'src'), { recursive: true })
  mkdirSync(join(tree, dirname(TOKEN_FILE)), { recursive: true })
  writeFileSync(join(tree, 'src/server.js'), SERVER)
  writeFileSync(join(tree, 'agent.mjs'), starter(program, 'act'))
  writeFileSync(join(tree, 'again.mjs'), starter(program, 'tryAgain'))
  return {
    folder,
    // Short: sockets lie deep in it, and their paths have at most 100 bytes.
    brokerHome: join(folder, 'b'),
    tree,
    caFile: join(folder, 'cloud.pem'),
    configFile: join(folder, 'broker.yaml'),
  }
}

/** What depends on the cloud; may be repeated for another run of it. */
export function furnish(stage: Stage, { ca, ids, accountToken }: Cloud): void {
  const { shop, staging, web, api } = ids
  const link: Link = { project: shop, environment: staging, web, api }
  writeFileSync(join(stage.tree, LINK_FILE), JSON.stringify(link))
  writeFileSync(join(stage.tree, TOKEN_FILE), `${accountToken}\n`, { mode: 0o600 })
  writeFileSync(stage.caFile, ca)
  writeFileSync(stage.configFile, configText(ids))
}

function starter(program: string, name: 'act' | 'tryAgain'): string {
  return `import { ${name} } from ${JSON.stringify(program)}\n\nawait ${name}()\n`
}

/**
 * Generous on purpose: in staging the agent may delete volumes and services and change whatever it
 * likes. What saves production is not that deleting is forbidden.
 */
function configText({ shop, staging }: Cloud['ids']): string {
  return `version: 1
environments:
  staging:
    railway: { connection: railway, project: ${shop}, environment: ${staging} }
templates:
  staging-work:
    description: what the agent of the demo is sent for
    environments: [staging]
    ttl: 10m
    grants:
      railway:
        allow:
          - read
          - variableUpsert
          - deploymentRedeploy
          - volumeDelete
          - serviceDelete
          - environmentPatchCommit
          - environmentPatchCommitStaged
`
}
