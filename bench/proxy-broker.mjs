// The broker's part of bench/proxy.mjs, as a person would set it up: a daemon of the built release, a
// connection whose upstream is the bench's, a template that allows reading, and `broker exec` holding
// the lease while requests come. At the end its database has to have every one of them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BIN, environment, startDaemon, until } from './daemon.mjs'
import { ENVIRONMENT, HOST, PROJECT } from './proxy-document.mjs'

/** What the upstream has to see, and the task never. */
export const SECRET = 'b2a8c1de-0000-4000-8000-bench0upstream'

const TEMPLATE = `version: 1
environments:
  staging:
    main:
      connection: railway
      project: ${PROJECT}
      environment: ${ENVIRONMENT}
      projectToken: false
templates:
  bench:
    environments: [staging]
    ttl: 1h
    grants:
      main:
        allow: [read]
`

export async function startBroker(bench, { port, ca }) {
  const daemon = await startDaemon(bench)
  const caFile = join(bench.folder, 'upstream.pem')
  const templateFile = join(bench.folder, 'broker.yaml')
  writeFileSync(caFile, ca)
  writeFileSync(templateFile, TEMPLATE)
  const url = `https://127.0.0.1:${port}`
  const flags = ['--url', url, '--ca-file', caFile, '--no-check', '--secret-stdin']
  await broker(bench, daemon, ['connect', 'railway', ...flags], `${SECRET}\n`)
  await broker(bench, daemon, ['template', 'apply', templateFile, '--yes'])
  const task = await startTask(bench, daemon)
  return { name: 'broker', daemon, pid: daemon.pid, authority: `${HOST}:443`, host: HOST, ...task }
}

/** A command that writes down what it was given, and waits until its input ends. */
async function startTask(bench, daemon) {
  const told = join(bench.folder, 'task.json')
  const script = `
    const { RAILWAY_TOKEN: token, HTTPS_PROXY: proxy, NODE_EXTRA_CA_CERTS: caFile } = process.env
    require('node:fs').writeFileSync(${JSON.stringify(told)}, JSON.stringify({ token, proxy, caFile }))
    process.stdin.resume()`
  const child = spawn(
    process.execPath,
    [
      BIN,
      'exec',
      '--quiet',
      '--isolation',
      'scrub',
      '--env',
      'staging',
      '--',
      process.execPath,
      '-e',
      script,
    ],
    { env: environment(daemon.home), stdio: ['pipe', 'inherit', 'inherit'] },
  )
  bench.children.add(child)
  const ended = once(child, 'exit')
  const { token, proxy, caFile } = await until('the task has its environment', () => {
    if (child.exitCode !== null) throw new Error('broker exec ended at its start')
    return parsed(told)
  })
  if (token === SECRET) throw new Error('the task was given the real credential')
  return {
    token,
    port: Number(new URL(proxy).port),
    ca: readFileSync(caFile, 'utf8'),
    async end() {
      child.stdin.end()
      await ended
    },
  }
}

function parsed(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}

async function broker(bench, { home }, args, input = '') {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: environment(home),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  bench.children.add(child)
  let said = ''
  child.stderr.on('data', (piece) => {
    said += piece
  })
  child.stdin.end(input)
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`broker ${args[0]} ended with ${status}: ${said}`)
}

/** Ends the task and the daemon; how many decisions and outcomes stand in the audit log by then. */
export async function endBroker({ daemon, end }, bench) {
  await end()
  await broker(bench, daemon, ['audit', 'verify'])
  await daemon.stop()
  const database = new DatabaseSync(join(daemon.home, 'state/broker.sqlite'), { readOnly: true })
  const count = (type) =>
    database.prepare('select count(*) as n from audit where type = ?').get(type).n
  const counts = { allowed: count('request.allowed'), ended: count('request.ended') }
  database.close()
  return counts
}
