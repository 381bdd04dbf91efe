import { describe, expect, it } from 'vitest'
import { AGENTS } from '../../src/launch/agents/profiles.ts'
import { agentNamed, agentOf, mayBeTheTasks } from '../../src/launch/agents/recognise.ts'
import { scrubEnvironment } from '../../src/launch/scrub.ts'

const called = (real: string, path = real) => agentOf({ path, real })?.name

describe('a program that is no agent', () => {
  it.each([
    ["a package of somebody else's with a file of that name", '/p/node_modules/evil/bin/claude'],
    ['one in the scope of another', '/p/node_modules/@evil/codex/bin/codex.js'],
    ["a package named after an agent's", '/p/node_modules/openclaw-mcp/dist/openclaw.js'],
    ["a package inside an agent's own", '/p/node_modules/@openai/codex/node_modules/x/bin/codex'],
    ['a program with a longer name', '/usr/bin/claude-helper'],
    ['one of a plain name', '/usr/bin/agent'],
    ['a shell', '/bin/bash'],
  ])('is %s', (_, real) => {
    expect(called(real)).toBeUndefined()
    expect(called(real, '/usr/bin/bash')).toBeUndefined()
  })

  it("is one of another's package, called by an agent's name", () => {
    expect(called('/p/node_modules/evil/cli.js', '/usr/local/bin/claude')).toBeUndefined()
  })
})

describe('an agent is recognised', () => {
  it.each([
    ['claude', '/usr/local/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe'],
    ['claude', '/usr/lib/node_modules/@anthropic-ai/claude-code-linux-x64/claude'],
    ['claude', '/home/u/.local/share/claude/versions/2.1.330'],
    ['codex', '/usr/lib/node_modules/@openai/codex/bin/codex.js'],
    ['codex', '/opt/codex/codex-x86_64-unknown-linux-musl'],
    ['codex', '/u/.pnpm/@openai+codex@0.169.0/node_modules/@openai/codex/bin/codex.js'],
    ['gemini', '/usr/lib/node_modules/@google/gemini-cli/bundle/gemini.js'],
    ['opencode', '/usr/lib/node_modules/opencode-ai/bin/opencode.exe'],
    ['opencode', '/home/u/.opencode/bin/opencode'],
    ['copilot', '/usr/lib/node_modules/@github/copilot/npm-loader.js'],
    ['aider', '/home/u/.local/share/uv/tools/aider-chat/bin/aider'],
    ['cursor', '/home/u/.local/share/cursor-agent/versions/2026.1/cursor-agent'],
    ['cursor', '/home/u/.local/share/cursor-agent/versions/2026.1/agent'],
    ['openclaw', '/usr/lib/node_modules/openclaw/openclaw.mjs'],
    ['codex', 'C:\\n\\node_modules\\@openai\\codex\\bin\\codex.js'],
  ])('%s at %s, whatever it was called by', (name, real) => {
    expect(called(real, '/usr/local/bin/x')).toBe(name)
  })

  it('by the name of the shim that leads to it', () => {
    expect(called('/home/u/.volta/bin/volta-shim', '/home/u/.volta/bin/claude')).toBe('claude')
    expect(called('C:\\npm\\gemini.cmd')).toBe('gemini')
  })

  it('by the word of the person', () => {
    expect(agentNamed('aider')?.title).toBe('aider')
    expect(agentNamed('toString')).toBeUndefined()
  })
})

it("takes nothing for the person's that a task could have put there", () => {
  expect(mayBeTheTasks('/w/project/node_modules/.bin/claude', '/w/project')).toBe(true)
  expect(mayBeTheTasks('/w/project-2/claude', '/w/project')).toBe(false)
})

describe('what is known of the agents', () => {
  const logins = AGENTS.flatMap(({ logins }) => logins)

  it('has every login taken out of an environment without that agent', () => {
    const all = Object.fromEntries(logins.map((name) => [name, 'a-value-of-its-own-0123456789']))
    expect(Object.keys(scrubEnvironment(all).kept)).toEqual([])
  })

  it('has no login of one agent among those of another', () => {
    expect(new Set(logins).size).toBe(logins.length)
  })

  it('has places below the home alone, and of no other agent', () => {
    for (const agent of AGENTS) {
      const others = AGENTS.filter((other) => other !== agent).flatMap(({ state }) => state)
      for (const place of [...agent.state, ...agent.runsLater]) {
        expect(place).toMatch(/^\.[^/]/)
        expect(place.split('/')).not.toContain('..')
        const shared = others.filter((one) => `${place}/`.startsWith(`${one}/`))
        expect(shared, `${agent.name} ${place}`).toEqual([])
      }
    }
  })
})
