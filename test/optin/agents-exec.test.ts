// Two of the real agents in the real `broker exec`: what it puts together is what agents.test.ts tries with all of
// them. At `confine` the model would have to be out on the network, so that stays with the other file.
import { execFileSync } from 'node:child_process'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from '../isolation/available.ts'
import { CANARY, EXEC, Machine, USUAL } from '../isolation/machine.ts'
import { CASES, plantedHome } from './agents-cases.ts'
import { agentsFolder } from './agents-install.ts'
import { LAST_WORDS, type Model, startModel } from './agents-model.ts'

const folder = agentsFolder()
const ready = folder !== undefined && hasBubblewrap()

const FILES = CASES.map(({ file }) => file).join(' ')
const COMMAND = [
  'test -n "$BROKER_ACCESS_TOKEN" && echo "[lease]"',
  'echo "[standing:$RAILWAY_TOKEN] [gemini:$GEMINI_API_KEY]"',
  `for f in ${FILES} .railway/config.json; do if test -s ~/$f; then echo "[file:$f]"; fi; done`,
].join('; ')

const ROWS = CASES.filter(({ name }) => name === 'claude' || name === 'codex').flatMap((agent) =>
  (['scrub', 'mask'] as const).map((level) => ({ agent, name: agent.name, level })),
)

describe.runIf(ready).each(PERSONS)('agents in broker exec, started by %s', (person: Person) => {
  let machine: Machine
  let model: Model

  beforeAll(async () => {
    machine = new Machine(person)
    model = await startModel(() => COMMAND)
    for (const [name, text] of Object.entries(plantedHome(model.url, CANARY, true))) {
      machine.put(`home/${name}`, text)
    }
    symlinkSync(folder ?? '', join(machine.home, '.npm-global'))
    if (person === 'nobody') execFileSync('chown', ['-hR', '65534:65534', machine.home])
  })
  afterAll(async () => {
    await model.close()
    await machine.remove()
  })

  it.each(ROWS)('$name at $level has its own login and the lease', async ({ agent, level }) => {
    expect(existsSync(join(folder ?? '', 'bin', agent.name))).toBe(true)
    const { variables = {}, args = [] } = agent.model(model.url)
    const [first = '', ...rest] = agent.args
    // Behind walls root cannot build the agent's own sandbox.
    const free = person === 'root' && level !== 'scrub'
    const sandbox =
      agent.name === 'codex' ? ['-s', free ? 'danger-full-access' : 'workspace-write'] : []
    const before = model.asked.length
    const ran = await machine.run(
      [...EXEC, '--isolation', level, '--', agent.name, ...args, first, ...sandbox, ...rest],
      {
        env: {
          PATH: `${machine.home}/.npm-global/bin:${USUAL}`,
          SHELL: '/bin/bash',
          TERM: 'dumb',
          [agent.login]: `${agent.login}-of-the-person`,
          GEMINI_API_KEY: 'of-another',
          RAILWAY_TOKEN: CANARY,
          ...variables,
        },
      },
    )
    const asked = model.asked.slice(before)
    const told = asked.at(-1)?.result ?? ''
    const why = `${ran.out}\n${ran.err}\n${JSON.stringify(asked).slice(0, 2000)}`
    expect(ran.status, why).toBe(0)
    expect(ran.out, why).toContain(LAST_WORDS)
    expect(asked.at(-1)?.login, why).toContain(`${agent.login}-of-the-person`)
    expect(told, why).toContain('[lease]')
    expect(told, why).toContain('[standing:] [gemini:]')
    const files = [...told.matchAll(/\[file:([^\]]+)\]/g)].map(([, file]) => file)
    if (level === 'mask') expect(files, why).toEqual([agent.file])
  })
})
