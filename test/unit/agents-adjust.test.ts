import { describe, expect, it } from 'vitest'
import { type AgentFacts, adjustAgent } from '../../src/launch/agents/adjust.ts'
import { agentNamed } from '../../src/launch/agents/recognise.ts'
import { fakeFiles } from '../isolation/fake-files.ts'

function adjust(
  name: string,
  more: Partial<AgentFacts> = {},
  files: Readonly<Record<string, string>> = {},
) {
  const profile = agentNamed(name)
  if (profile === undefined) throw new Error(name)
  return adjustAgent(profile, {
    level: 'scrub',
    args: [],
    environment: {},
    granted: ['RAILWAY_TOKEN'],
    home: '/home/u',
    workTree: '/w',
    stateFolder: `/home/u/${profile.state[0]}`,
    uid: 1000,
    files: fakeFiles(files),
    ...more,
  })
}

const NETWORK = 'sandbox_workspace_write.network_access=true'

describe("Codex's own sandbox", () => {
  it.each([
    [['--sandbox', 'danger-full-access']],
    [['-s', 'read-only']],
    [['--sandbox=read-only']],
    [['--yolo']],
    [['--dangerously-bypass-approvals-and-sandbox']],
    [['-c', 'sandbox_workspace_write.network_access=false']],
    [['--config=sandbox_workspace_write.network_access=true']],
  ])('is left as the person has it: %j', (args) => {
    expect(adjust('codex', { args }).args).toEqual(args)
  })

  it('is left alone for a lease that brings nothing', () => {
    expect(adjust('codex', { granted: [], args: ['go'] }).args).toEqual(['go'])
  })

  it('lets its commands use the network for the lease, and says so', () => {
    const { args, remarks } = adjust('codex', { args: ['-s', 'workspace-write'] })
    expect(args).toEqual(['-c', NETWORK, '-s', 'workspace-write'])
    expect(remarks).toEqual(["Codex's own sandbox lets its commands use the network for this task"])
  })

  it('is read-only with exec, which is said instead', () => {
    const { args, remarks } = adjust('codex', { args: ['exec', 'go'] })
    expect(args).toEqual(['exec', 'go'])
    expect(remarks).toEqual([
      'codex exec gives its commands no network unless told otherwise: take --sandbox workspace-write',
    ])
    const settings = { '/home/u/.codex/config.toml': 'sandbox_mode = "workspace-write"' }
    expect(adjust('codex', { args: ['exec', 'go'] }, settings).args).toContain(NETWORK)
    const said = adjust('codex', { args: ['exec', '--full-auto', 'go'] })
    expect(said.args).toContain(NETWORK)
  })

  it('cannot be built by root behind a mask, which is said', () => {
    const { remarks } = adjust('codex', { level: 'mask', uid: 0 })
    expect(remarks.at(-1)).toContain('--sandbox danger-full-access')
  })
})

describe("Codex's filter of variables", () => {
  const POLICY = '[shell_environment_policy]\ninherit = "core"\n'

  it('is not touched where there is none', () => {
    const files = { '/home/u/.codex/config.toml': 'model = "x"\n' }
    expect(adjust('codex', {}, files).args.join()).not.toContain('shell_environment_policy')
  })

  it.each([
    ['its configuration', {}, { '/home/u/.codex/config.toml': POLICY }],
    ["the project's", {}, { '/w/.codex/config.toml': POLICY }],
    ['an argument', { args: ['-c', 'shell_environment_policy.inherit=none'] }, {}],
  ])('is turned off when %s has one', (_, more, files) => {
    const { args, remarks } = adjust('codex', more, files)
    expect(args).toContain('shell_environment_policy.inherit="all"')
    expect(args).toContain('shell_environment_policy.ignore_default_excludes=true')
    expect(args).toContain('shell_environment_policy.include_only=[]')
    expect(remarks[0]).toContain('is off for this task')
  })
})

describe("Gemini's redaction of variables", () => {
  const SETTINGS = '{"security":{"environmentVariableRedaction":{"enabled":true}}}'
  const HOME = { '/home/u/.gemini/settings.json': SETTINGS }

  it('is not touched where there is none, or nothing is granted', () => {
    const nothing = { args: [], variables: {}, overlays: new Map(), remarks: [] }
    expect(adjust('gemini', { level: 'mask' })).toEqual(nothing)
    expect(adjust('gemini', { level: 'mask', granted: [] }, HOME)).toEqual(nothing)
  })

  it('is off behind a link as well', () => {
    const files = {
      '/home/u/.gemini/settings.json': '-> ../dotfiles/gemini.json',
      '/home/u/dotfiles/gemini.json': SETTINGS,
    }
    const { overlays } = adjust('gemini', { level: 'mask' }, files)
    expect([...overlays.keys()]).toEqual(['/home/u/dotfiles/gemini.json'])
  })

  it.each([
    ['there are no walls', 'scrub' as const, SETTINGS],
    ['its settings are no JSON', 'mask' as const, `// mine\n${SETTINGS}`],
  ])('stays where %s, and that is said', (_, level, text) => {
    const { overlays, remarks } = adjust('gemini', { level }, { '/w/.gemini/settings.json': text })
    expect(overlays.size).toBe(0)
    expect(remarks).toEqual([
      "/w/.gemini/settings.json may keep the lease's variables from Gemini's tools",
    ])
  })

  it('is off in what settings say inside, which else is what they say', () => {
    const mine =
      '{"ui":{"theme":"x"},"security":{"auth":{"a":1},"environmentVariableRedaction":{}}}'
    const files = { ...HOME, '/etc/gemini-cli/settings.json': mine }
    const { overlays, remarks } = adjust('gemini', { level: 'confine' }, files)
    expect([...overlays.keys()]).toEqual([
      '/home/u/.gemini/settings.json',
      '/etc/gemini-cli/settings.json',
    ])
    expect(JSON.parse(overlays.get('/etc/gemini-cli/settings.json') ?? '')).toEqual({
      ui: { theme: 'x' },
      security: { auth: { a: 1 }, environmentVariableRedaction: { enabled: false } },
    })
    expect(remarks).toEqual(["Gemini's redaction of variables is off for this task"])
  })

  it('that a variable of a build server turns on is turned off by taking that away', () => {
    const { variables } = adjust('gemini', { environment: { GITHUB_SHA: 'abc', SURFACE: 'Other' } })
    expect(variables).toEqual({ GITHUB_SHA: undefined })
    expect('GITHUB_SHA' in variables).toBe(true)
  })
})

describe("Claude's scrub of its tools", () => {
  const ON = { environment: { CLAUDE_CODE_SUBPROCESS_ENV_SCRUB: '1' } }
  const SETTINGS = '{"env":{"CLAUDE_CODE_SUBPROCESS_ENV_SCRUB":"1"}}'

  it('stays on, for it keeps the login from them', () => {
    expect(adjust('claude', ON).variables).toEqual({})
    expect(adjust('claude', ON).remarks).toEqual([])
  })

  it('is off where it would take away what the lease brings', () => {
    const granted = ['AWS_SECRET_ACCESS_KEY', 'AWS_ACCESS_KEY_ID']
    const { args, variables, remarks } = adjust('claude', { ...ON, granted, args: ['-p', 'go'] })
    expect(variables).toEqual({ CLAUDE_CODE_SUBPROCESS_ENV_SCRUB: '0' })
    expect(args).toEqual(['-p', 'go'])
    expect(remarks[0]).toContain('AWS_SECRET_ACCESS_KEY from the tools')
  })

  it('is off by settings where settings turned it on', () => {
    const granted = ['AWS_SESSION_TOKEN']
    const files = { '/w/.claude/settings.json': SETTINGS }
    expect(adjust('claude', { granted }, files).args).toEqual([
      '--settings',
      '{"env":{"CLAUDE_CODE_SUBPROCESS_ENV_SCRUB":"0"}}',
    ])
    const given = adjust('claude', { granted, args: ['--settings', 'mine.json'] }, files)
    expect(given.args).toEqual(['--settings', 'mine.json'])
    expect(given.remarks[0]).toContain('may not reach')
  })
})

it('tells of a file that aider puts over the variables of the task', () => {
  const files = { '/w/.env': 'RAILWAY_TOKEN=x' }
  expect(adjust('aider', {}, files).remarks[0]).toContain('/w/.env')
  expect(adjust('aider', { level: 'mask' }, files).remarks).toEqual([])
})

it('tells agents not to renew themselves only where they cannot', () => {
  expect(adjust('claude', { level: 'confine' }).variables).toEqual({ DISABLE_AUTOUPDATER: '1' })
  expect(adjust('claude').variables).toEqual({})
})

it('puts no value of a variable into an argument', () => {
  const environment = { RAILWAY_TOKEN: 'CANARY', CLAUDE_CODE_SUBPROCESS_ENV_SCRUB: '1' }
  const granted = ['RAILWAY_TOKEN', 'AWS_SECRET_ACCESS_KEY']
  const files = { '/home/u/.codex/config.toml': 'shell_environment_policy' }
  for (const name of ['claude', 'codex', 'gemini', 'aider', 'copilot', 'opencode']) {
    const { args, overlays } = adjust(name, { environment, granted }, files)
    expect([...args, ...overlays.values()].join()).not.toContain('CANARY')
  }
})
