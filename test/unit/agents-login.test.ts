import { describe, expect, it } from 'vitest'
import { loginOf } from '../../src/launch/agents/login.ts'
import { modelKey } from '../../src/launch/agents/model-keys.ts'
import { agentNamed } from '../../src/launch/agents/recognise.ts'
import { scrubEnvironment } from '../../src/launch/scrub.ts'
import { fakeFiles } from '../isolation/fake-files.ts'

const ALL = {
  ANTHROPIC_API_KEY: 'sk-ant-api03-000000000000000000000000',
  CLAUDE_CODE_OAUTH_TOKEN: 'oauth-000000000000',
  OPENAI_API_KEY: 'sk-proj-000000000000000000000000',
  CODEX_API_KEY: 'codex-000000000000',
  GEMINI_API_KEY: 'AIza-000000000000',
  COPILOT_GITHUB_TOKEN: 'gho_000000000000',
  GH_TOKEN: 'ghp_000000000000',
  CURSOR_API_KEY: 'cursor-000000000000',
  RAILWAY_TOKEN: 'railway-000000000000',
  CODEX_HOME: '/home/u/elsewhere',
  PATH: '/bin',
}

const HOME = fakeFiles({
  '/home/u/.claude/.credentials.json': '{}',
  '/home/u/.claude.json': '{}',
  '/home/u/.claude/plugins/one/code.js': '',
  '/home/u/.codex/auth.json': '{}',
})

function login(name: string, more: Partial<Parameters<typeof loginOf>[1]> = {}) {
  const profile = agentNamed(name)
  if (profile === undefined) throw new Error(name)
  const facts = { level: 'mask', args: [], environment: ALL, home: '/home/u', files: HOME } as const
  return loginOf(profile, { ...facts, ...more })
}

function kept(name: string, environment: Record<string, string> = ALL, args: string[] = []) {
  const { pass } = login(name, { environment, args })
  return Object.keys(scrubEnvironment(environment, { pass }).kept).sort()
}

describe("an agent's environment", () => {
  it("has no other agent's login, and no standing key", () => {
    expect(kept('claude')).toEqual(['ANTHROPIC_API_KEY', 'CLAUDE_CODE_OAUTH_TOKEN', 'PATH'])
    expect(kept('codex')).toEqual(['CODEX_API_KEY', 'CODEX_HOME', 'OPENAI_API_KEY', 'PATH'])
    expect(kept('gemini')).toEqual(['GEMINI_API_KEY', 'PATH'])
    expect(kept('copilot')).toEqual(['COPILOT_GITHUB_TOKEN', 'PATH'])
    expect(kept('cursor')).toEqual(['CURSOR_API_KEY', 'PATH'])
  })

  it('has no key at all for one that could use several and was not told which', () => {
    expect(kept('opencode')).toEqual(['PATH'])
    expect(login('aider').remarks).toContain(
      'aider could use any of ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY: name the one it may have with --pass',
    )
  })

  it('has the key of the model that it was told to use', () => {
    expect(kept('aider', ALL, ['--model', 'sonnet'])).toEqual(['ANTHROPIC_API_KEY', 'PATH'])
    expect(kept('opencode', ALL, ['run', '-m', 'openai/gpt-5'])).toEqual(['OPENAI_API_KEY', 'PATH'])
  })

  it('has the only key there is', () => {
    const { OPENAI_API_KEY, PATH, RAILWAY_TOKEN } = ALL
    expect(kept('aider', { OPENAI_API_KEY, PATH, RAILWAY_TOKEN })).toEqual([
      'OPENAI_API_KEY',
      'PATH',
    ])
  })

  it('stays its own with --strict', () => {
    const { pass } = login('claude')
    expect(Object.keys(scrubEnvironment(ALL, { pass, strict: true }).kept)).toContain(
      'ANTHROPIC_API_KEY',
    )
  })
})

describe('the key of a model', () => {
  it('is nobody’s where the name of the model says nothing', () => {
    expect(modelKey(['--model', 'llama-3/x'], ALL).names).toEqual([])
    expect(modelKey(['--model', '__proto__/x'], ALL).names).toEqual([])
    expect(modelKey(['--model'], {}).names).toEqual([])
  })

  it('follows the last of two models', () => {
    expect(modelKey(['--model=gpt-5', '--model', 'gemini/pro'], ALL)).toEqual({
      names: ['GEMINI_API_KEY'],
      hosts: ['generativelanguage.googleapis.com'],
      undecided: [],
    })
  })
})

describe("an agent's places", () => {
  it('are its own alone, and what starts programs later is read-only', () => {
    const { state, held, runsLater } = login('claude')
    expect(state).toEqual(['.claude', '.claude.json'])
    expect(held).toContain('.claude/settings.json')
    expect(held).toContain('.claude/hooks')
    expect(held).toContain('.claude/plugins')
    expect(runsLater).toContain('/home/u/.claude/settings.json')
    expect(runsLater).not.toContain('/home/u/.claude/plugins')
    expect([...state, ...held].join()).not.toContain('codex')
  })

  it('are where its variables put them', () => {
    const environment = { CODEX_HOME: '/home/u/elsewhere', CLAUDE_CONFIG_DIR: '/home/u/c' }
    expect(login('codex', { environment }).state).toEqual(['elsewhere'])
    expect(login('codex', { environment }).held).toContain('elsewhere/config.toml')
    expect(login('codex', { environment }).stateFolder).toBe('/home/u/elsewhere')
    expect(login('claude', { environment }).state).toEqual(['c', 'c/.claude.json'])
    const moved = { GEMINI_CLI_HOME: '/home/u/g' }
    expect(login('gemini', { environment: moved }).state).toEqual(['g/.gemini'])
  })

  it('are not let in from outside the home, and that is said', () => {
    const { state, remarks } = login('codex', { environment: { CODEX_HOME: '/srv/codex' } })
    expect(state).toEqual([])
    expect(remarks.join('\n')).toContain('Codex CLI keeps things in /srv/codex')
  })

  it('are held where a link leads to, for that is what there is inside', () => {
    const files = fakeFiles({
      '/home/u/.claude/settings.json': '-> ../dotfiles/claude.json',
      '/home/u/.claude/hooks': '-> /srv/hooks',
      '/home/u/dotfiles/claude.json': '{}',
      '/srv/hooks/x': '',
    })
    const { held, runsLater } = login('claude', { files })
    expect(held).toContain('dotfiles/claude.json')
    expect(held).not.toContain('.claude/settings.json')
    expect(held.join()).not.toContain('hooks')
    expect(runsLater).toContain('/home/u/.claude/settings.json')
  })

  it('are found in a home that is a link', () => {
    const files = fakeFiles({
      '/home/u': '-> /data/u',
      '/data/u/.claude/settings.json': '-> ../dotfiles/claude.json',
      '/data/u/dotfiles/claude.json': '{}',
    })
    expect(login('claude', { files }).held).toContain('dotfiles/claude.json')
  })

  it('never are the home itself', () => {
    expect(login('codex', { environment: { CODEX_HOME: '/home/u' } }).state).toEqual([])
  })
})

describe('a person is told', () => {
  it('that the tools of an agent can read its login', () => {
    const words = 'Claude Code keeps its own login, and every command it runs can read that'
    expect(login('claude').remarks).toContain(words)
    expect(login('claude', { environment: {} }).remarks).toContain(words)
    expect(login('gemini', { environment: {} }).remarks.join()).not.toContain('keeps its own')
  })

  it('which variable was not taken for a login', () => {
    const { remarks } = login('copilot', { environment: { GH_TOKEN: 'x' } })
    expect(remarks).toContain(
      'GH_TOKEN did not go along as a login; --pass it if that is what it is',
    )
  })

  it('that what a new agent keeps inside is lost', () => {
    expect(login('gemini').remarks.join('\n')).toContain('Gemini CLI has kept nothing yet')
    expect(login('gemini', { level: 'scrub' }).remarks.join()).not.toContain('kept nothing')
  })
})
