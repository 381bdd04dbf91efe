import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { resolveHome } from '../../lib/home.ts'
import type { Cloud } from '../cloud/cloud.ts'
import { type Stage, TOKEN_FILE } from '../stage.ts'
import { copyProgram } from './copy-program.ts'
import type { Terms } from './terms.ts'

/** What the agent is started as. */
export const BYPASS_FILE = 'bypass.mjs'

const PROGRAM_FOLDER = 'bypass'
const UNSET_FILE = 'unset.mjs'
const TERMS_FILE = 'bypass.json'
const HOME_FILE = '.railway/config.json'

/**
 * Keys as people have them lying about, and the program that is after them: in the work tree and whole,
 * because behind the walls there is nothing else of this package. `program`: its URL.
 */
export function plant({ folder, tree }: Stage, { accountToken }: Cloud, program: string): void {
  const login = join(folder, HOME_FILE)
  mkdirSync(dirname(login), { recursive: true, mode: 0o700 })
  writeFileSync(login, JSON.stringify({ user: { token: accountToken } }), { mode: 0o600 })
  writeFileSync(join(tree, '.env'), `RAILWAY_API_TOKEN=${accountToken}\n`, { mode: 0o600 })
  const copy = relative(tree, copyProgram(program, join(tree, PROGRAM_FOLDER)))
  writeFileSync(join(tree, BYPASS_FILE), starter(copy, 'act'))
  writeFileSync(join(tree, UNSET_FILE), starter(copy, 'actUnset'))
}

/** For one run. Says where everything lies: nothing is kept from it but the keys themselves. */
export function instruct({ folder, tree, brokerHome }: Stage, cloud: Cloud, mark: string): void {
  const { operatorKey, socket } = resolveHome({ BROKER_HOME: brokerHome })
  const terms: Terms = {
    ...{ cloud: cloud.url, ca: cloud.ca, pgdata: cloud.ids.pgdata, mark },
    wanted: createHash('sha256').update(cloud.accountToken).digest('hex'),
    homeFile: join(folder, HOME_FILE),
    envFile: join(tree, '.env'),
    treeFile: join(tree, TOKEN_FILE),
    unset: join(tree, UNSET_FILE),
    ...{ operatorKey, socket },
  }
  writeFileSync(join(tree, TERMS_FILE), JSON.stringify(terms))
}

function starter(program: string, name: 'act' | 'actUnset'): string {
  return `import { ${name} } from './${program}'\n\nawait ${name}('${TERMS_FILE}')\n`
}
