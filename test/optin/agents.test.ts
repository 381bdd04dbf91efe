// The agents themselves, each inside every level, with a model of ours that has them run one command. What
// that command sees is what the lease's variables, the walls and the agent's own filters leave of it.

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adjustAgent } from '../../src/launch/agents/adjust.ts'
import { loginOf } from '../../src/launch/agents/login.ts'
import { AGENTS } from '../../src/launch/agents/profiles.ts'
import { agentOf } from '../../src/launch/agents/recognise.ts'
import { hostFiles } from '../../src/launch/isolate/file-view.ts'
import { scrubEnvironment } from '../../src/launch/scrub.ts'
import { hasBubblewrap, PERSONS, type Person } from '../isolation/available.ts'
import { environmentOf, launch, NODE } from '../isolation/run.ts'
import { makeWorld, type World } from '../isolation/world.ts'
import { type AgentCase, CASES, plantedHome } from './agents-cases.ts'
import { agentsFolder } from './agents-install.ts'
import { LAST_WORDS, type Model, startModel } from './agents-model.ts'

type Level = 'scrub' | 'mask' | 'confine'

const LEVELS: readonly Level[] = ['scrub', 'mask', 'confine']
const GRANTED = { LEASE_TOKEN: 'the-token-of-the-lease', AWS_SESSION_TOKEN: 'of-the-lease-too' }

const GEMINI_SETTINGS = '.gemini/settings.json'

const folder = agentsFolder()
const ready = folder !== undefined && hasBubblewrap()
const installed = (name: string) => existsSync(join(folder ?? '', 'bin', name))

/** What it prints is looked for in what the agent tells its model. */
function commandOf({ held }: AgentCase): string {
  const files = CASES.map(({ file }) => file).join(' ')
  return [
    'echo "[lease:$LEASE_TOKEN] [session:$AWS_SESSION_TOKEN] [standing:$RAILWAY_TOKEN]"',
    'env | cut -d= -f1 | sort | sed "s/.*/[name:&]/" | tr "\\n" " "',
    `for f in ${files} .cursor/cli-config.json .railway/config.json; do if test -s ~/$f; then echo "[file:$f]"; fi; done`,
    `(echo >> ~/${held}) 2>/dev/null && echo "[wrote]" || echo "[held]"`,
    'curl -s http://service.test/hello',
  ].join('; ')
}

describe.runIf(ready).each(PERSONS)('agents started by %s', (person: Person) => {
  let world: World
  let model: Model
  let proxy: { readonly port: number; close(): void }
  let agent: AgentCase

  beforeAll(async () => {
    world = makeWorld(person)
    const sockets = join(world.folder, 'ways-out')
    mkdirSync(sockets)
    model = await startModel(() => commandOf(agent), join(sockets, 'model.sock'))
    proxy = await startProxy(join(sockets, 'proxy.sock'))
    for (const name of ['model.sock', 'proxy.sock']) chmodSync(join(sockets, name), 0o666)
    const planted = plantedHome(model.url, world.canary, true)
    for (const [name, text] of Object.entries(planted)) {
      mkdirSync(dirname(join(world.home, name)), { recursive: true })
      writeFileSync(join(world.home, name), text, { mode: 0o600 })
    }
    mkdirSync(join(world.home, 'dotfiles'))
    writeFileSync(join(world.home, 'dotfiles/CLAUDE.md'), 'Be brief.\n')
    symlinkSync('../dotfiles/CLAUDE.md', join(world.home, '.claude/CLAUDE.md'))
    symlinkSync(folder ?? '', join(world.home, '.npm-global'))
    mkdirSync(join(world.lease, 'agent'), { recursive: true })
    if (person === 'nobody') execFileSync('chown', ['-hR', '65534:65534', world.home, world.lease])
  })
  afterAll(async () => {
    await model.close()
    proxy.close()
    world.remove()
  })

  /** As `exec` puts it together: scrubbed, with the agent's login, the lease's variables, and adjusted. */
  async function run(level: Level) {
    const path = join(world.home, '.npm-global/bin', agent.name)
    const profile = agentOf({ path, real: hostFiles.real(path) ?? path })
    if (profile?.name !== agent.name) throw new Error(`${agent.name} is not recognised`)
    const toModel = agent.model(model.url)
    const environment = { ...personsEnvironment(), ...toModel.variables }
    // Without walls nothing can be done about it, which the person is told.
    const settings = plantedHome(model.url, world.canary, level !== 'scrub')[GEMINI_SETTINGS] ?? ''
    writeFileSync(join(world.home, GEMINI_SETTINGS), settings)
    const command = agent.name === 'aider' ? [`/run ${commandOf(agent)}`] : []
    const sandbox = agent.name === 'codex' ? codexSandbox(level) : []
    const args = [...(toModel.args ?? []), ...agent.args.slice(0, 1), ...sandbox]
    const given = [...args, ...agent.args.slice(1), ...command]
    const facts = { level, args: given, environment, home: world.home, files: hostFiles }
    const login = loginOf(profile, facts)
    const lease = {
      ...GRANTED,
      http_proxy: `http://127.0.0.1:${proxy.port}`,
      no_proxy: '127.0.0.1',
    }
    const kept = { ...scrubEnvironment(environment, { pass: login.pass }).kept, ...lease }
    const own = join(world.lease, 'agent')
    const adjusted = adjustAgent(profile, {
      ...facts,
      environment: kept,
      granted: Object.keys(GRANTED),
      workTree: world.project,
      stateFolder: login.stateFolder,
      uid: person === 'root' ? 0 : 65534,
    })
    const overlays = [...adjusted.overlays].map(([path, text], index) => {
      const from = join(own, `overlay-${index}`)
      writeFileSync(from, text, { mode: 0o644 })
      return { from, path }
    })
    const env = withChanges(kept, adjusted.variables)
    const before = model.asked.length
    const ran = await launch(world, {
      level,
      person,
      path,
      args: adjusted.args,
      env,
      facts: {
        environment: env,
        agentState: login.state,
        alsoRead: login.held,
        // A mount of the same kind.
        sockets: overlays,
        relays: [
          { host: '127.0.0.1', port: model.port, from: `${world.folder}/ways-out/model.sock` },
          { host: '127.0.0.1', port: proxy.port, from: `${world.folder}/ways-out/proxy.sock` },
        ],
      },
    })
    return { ran, asked: model.asked.slice(before) }
  }

  function codexSandbox(level: Level): string[] {
    // Behind a mask root cannot build the agent's own.
    const cannot = person === 'root' && level !== 'scrub'
    return ['-s', cannot ? 'danger-full-access' : 'workspace-write']
  }

  function personsEnvironment(): Record<string, string> {
    const logins = AGENTS.flatMap(({ logins }) => logins)
    const keys = [...logins, 'RAILWAY_TOKEN', 'GH_TOKEN', 'OPENROUTER_API_KEY', 'DEEPSEEK_API_KEY']
    const { CODEX_ACCESS_TOKEN: _, ...all } = Object.fromEntries(
      keys.map((name) => [name, `${name}-of-${world.canary}`]),
    ) as Record<string, string>
    const base = environmentOf(world)
    const path = `${world.home}/.npm-global/bin:${dirname(NODE)}:${base['PATH']}`
    return { ...all, ...base, PATH: path, SHELL: '/bin/bash', TERM: 'dumb' }
  }

  const rows = LEVELS.flatMap((level) => CASES.map((agent) => ({ agent, name: agent.name, level })))

  it.each(rows.filter(({ name }) => installed(name)))(
    '$name at $level has its own login and the lease, and nobody else’s',
    async (row) => {
      agent = row.agent
      const { ran, asked } = await run(row.level)
      const said = row.name === 'aider' ? ran.stdout.replaceAll('\n', '') : asked.at(-1)?.result
      const told = said ?? ''
      const why = `${ran.stdout}\n${ran.stderr}\n${JSON.stringify(asked).slice(0, 2000)}`
      expect(told, why).toContain(`[lease:${GRANTED.LEASE_TOKEN}]`)
      expect(told, why).toContain(`[session:${GRANTED.AWS_SESSION_TOKEN}] [standing:]`)
      expect(told, why).toContain('hello through the proxy')
      const profile = AGENTS.find(({ name }) => name === row.name)
      const foreign = AGENTS.filter((other) => other !== profile)
        .flatMap(({ logins }) => logins)
        .filter((name) => name !== agent.login)
      for (const name of [...foreign, 'RAILWAY_TOKEN', 'GH_TOKEN', 'OPENROUTER_API_KEY']) {
        expect(told, why).not.toContain(`[name:${name}]`)
      }
      if (row.name !== 'aider') {
        expect(asked.at(-1)?.login, why).toContain(`${agent.login}-of-${world.canary}`)
        expect(ran.stdout, why).toContain(LAST_WORDS)
      }
      if (row.level === 'scrub') return
      const files = [...told.matchAll(/\[file:([^\]]+)\]/g)].map(([, file]) => file)
      expect(files, why).toEqual([agent.file])
      expect(told, why).toContain('[held]')
      // It writes this one anew each time, beside it and over it, which a mount does not allow.
      const kept = readFileSync(join(world.home, '.claude.json'), 'utf8')
      if (row.name === 'claude') expect(kept).toContain('firstStartTime')
    },
  )
})

function withChanges(
  kept: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const result = { ...kept }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete result[name]
    else result[name] = value
  }
  return result
}

/** Answers whatever it is asked to fetch. */
async function startProxy(socket: string) {
  const servers: Server[] = [0, 1].map(() =>
    createServer((request, response) => {
      const ours = request.url === 'http://service.test/hello'
      response.writeHead(ours ? 200 : 403).end(ours ? 'hello through the proxy' : '')
    }),
  )
  const [tcp, unix] = servers as [Server, Server]
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => unix.listen(socket, resolve))
  return {
    port: (tcp.address() as AddressInfo).port,
    close: () => {
      for (const server of servers) server.close()
    },
  }
}
