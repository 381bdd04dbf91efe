// Doubles of agents, packaged and called as the real ones are, started by the product.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { EXEC, Machine, USUAL } from './machine.ts'

const LEVELS = ['scrub', 'mask', 'confine'] as const
const WALLS = ['mask', 'confine'] as const

/** Says what it was given, and tries what it may not. */
const DOUBLE = `#!/bin/sh
echo "args=[$*]"
echo "own=[$ANTHROPIC_API_KEY] others=[$OPENAI_API_KEY$GEMINI_API_KEY] standing=[$RAILWAY_TOKEN]"
echo "lease=[$BROKER_ACCESS_TOKEN]" | sed 's/\\[.\\+\\]/[there]/'
for f in .claude/.credentials.json .codex/auth.json .aws/credentials; do test -s ~/$f && echo "file:$f"; done
cat ~/.gemini/settings.json 2>/dev/null
[ -n "$WRITES" ] || exit 0
echo '{"hooks":{}}' 2>/dev/null >~/.claude/settings.json && echo wrote-settings
echo later >>~/.claude/history.jsonl && echo wrote-history
mkdir ~/.claude/hooks && echo made-hooks
exit 0
`

const PERSONS_KEYS = {
  ANTHROPIC_API_KEY: 'the-key-of-claude',
  OPENAI_API_KEY: 'the-key-of-codex',
  GEMINI_API_KEY: 'the-key-of-gemini',
  RAILWAY_TOKEN: 'a-standing-key',
}
const SETTINGS = JSON.stringify({ security: { environmentVariableRedaction: { enabled: true } } })

let machine: Machine

/** `…/lib/node_modules/<owner>/cli.sh`, and a link of this name to it in `…/bin`. */
function installed(owner: string, name: string, prefix = 'home/.npm-global'): string {
  const file = machine.put(`${prefix}/lib/node_modules/${owner}/cli.sh`, DOUBLE, 0o755)
  const link = join(machine.folder, prefix, 'bin', name)
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(file, link)
  return link
}

const start = (
  command: readonly string[],
  flags: readonly string[],
  more: NodeJS.ProcessEnv = {},
  cwd = machine.project,
) =>
  machine.run([...EXEC, ...flags, '--', ...command], {
    env: { PATH: `${machine.home}/.npm-global/bin:${USUAL}`, ...PERSONS_KEYS, ...more },
    cwd,
  })

const at = (level: string) => ['--isolation', level]

describe.runIf(hasBubblewrap()).each(PERSONS)(
  'an agent in broker exec, as %s',
  (person: Person) => {
    beforeAll(async () => {
      machine = new Machine(person)
      machine.put('home/.claude/.credentials.json', '{"its":"own"}')
      machine.put('home/.claude/settings.json', '{}')
      machine.put('home/.codex/auth.json', '{"its":"own"}')
      machine.put('home/.gemini/settings.json', SETTINGS)
      installed('@anthropic-ai/claude-code', 'claude')
      installed('@openai/codex', 'codex')
      installed('@google/gemini-cli', 'gemini')
      if (person === 'nobody') {
        execFileSync('chown', ['-hR', '65534:65534', machine.home])
      }
      await machine.run(['daemon', 'start'])
    })
    afterAll(() => machine.remove())

    describe('that is none', () => {
      it.each(LEVELS)('but in the work tree is given nothing, which is said: %s', async (level) => {
        const fake = installed('@anthropic-ai/claude-code', 'claude', `home/project/${level}`)
        const { status, out, err } = await start([fake], at(level))
        expect(status).toBe(0)
        expect(out).toContain('own=[] others=[] standing=[]\n')
        if (level !== 'scrub') expect(out).not.toContain('file:')
        expect(err).toContain('broker: what looks like Claude Code is in the work tree')
      })

      it("but is somebody else's package of that name is given nothing", async () => {
        const fake = installed('of-somebody-else', 'claude', 'home/.npm-global/other')
        const { out } = await start([fake], at('mask'))
        expect(out).toContain('own=[] others=[] standing=[]\n')
        expect(out).not.toContain('file:')
      })

      it.each(LEVELS)('is given nothing of any agent: %s', async (level) => {
        const double = machine.put('home/.npm-global/bin/build', DOUBLE, 0o755)
        const { out } = await start([double], at(level))
        expect(out).toContain('own=[] others=[] standing=[]\n')
        if (level !== 'scrub') expect(out).not.toContain('file:')
      })

      it('is refused as --agent, and nothing runs', async () => {
        const { status, out, err } = await start(['sh', '-c', 'echo RAN'], ['--agent', 'hal'])
        expect({ status, out }).toEqual({ status: 125, out: '' })
        expect(err).toMatch(/^broker: --agent cannot be "hal"\nhint: one of claude, codex, /)
      })
    })

    it.each(LEVELS)('has its own login and the lease, and nothing else: %s', async (level) => {
      const { status, out, err } = await start(['claude', '-p', 'go'], at(level))
      expect({ status, err }).toMatchObject({ status: 0 })
      expect(out).toContain('args=[-p go]\n')
      expect(out).toContain('own=[the-key-of-claude] others=[] standing=[]\nlease=[there]\n')
      const files = out.match(/file:.*/g)
      if (level !== 'scrub') expect(files).toEqual(['file:.claude/.credentials.json'])
      expect(err).toContain(
        'broker: Claude Code keeps its own login, and every command it runs can ',
      )
      for (const key of Object.values(PERSONS_KEYS)) expect(err).not.toContain(key)
    })

    it('has it in the home as well, where there is no project', async () => {
      const { out, err } = await start(['claude'], at('scrub'), {}, machine.home)
      expect(out).toContain('own=[the-key-of-claude] ')
      expect(err).not.toContain('work tree')
    })

    it.each(LEVELS)('says nothing of it with --quiet: %s', async (level) => {
      expect((await start(['claude'], [...at(level), '--quiet'])).err).toBe('')
    })

    it.each(WALLS)('keeps its state, cannot change what runs later: %s', async (level) => {
      const { out, err } = await start(['claude'], at(level), { WRITES: '1' })
      expect(out).toContain('wrote-history\nmade-hooks\n')
      expect(out).not.toContain('wrote-settings')
      const kept = (name: string) => readFileSync(join(machine.home, '.claude', name), 'utf8')
      expect(kept('settings.json')).toBe('{}')
      expect(kept('history.jsonl')).toContain('later\n')
      // It was not there, so nothing could hold it.
      expect(err).toContain('broker: changed, and runs later with your rights: ')
      expect(err).toMatch(/rights: .*\/home\/\.claude\/hooks/)
      execFileSync('rmdir', [join(machine.home, '.claude/hooks')])
    })

    it.each(LEVELS)(
      'gets arguments that let its own sandbox reach the lease: %s',
      async (level) => {
        const { out } = await start(['codex', '-s', 'workspace-write', 'go'], at(level))
        expect(out).toContain(
          'args=[-c sandbox_workspace_write.network_access=true -s workspace-write go]\n',
        )
        expect(out).toContain('own=[] others=[the-key-of-codex] ')
      },
    )

    it('reads its settings without its filter inside, and has them as they are outside', async () => {
      for (const level of WALLS) {
        const { out, err } = await start(['gemini'], at(level))
        expect(out).toContain('{"security":{"environmentVariableRedaction":{"enabled":false}}}')
        expect(err).toContain("broker: Gemini's redaction of variables is off for this task\n")
      }
      expect(readFileSync(join(machine.home, '.gemini/settings.json'), 'utf8')).toBe(SETTINGS)
      const { out, err } = await start(['gemini'], at('scrub'))
      expect(out).toContain(SETTINGS)
      expect(err).toContain("settings.json may keep the lease's variables from Gemini's tools\n")
    })

    it.each(LEVELS)('is what --agent says, if a wrapper starts it: %s', async (level) => {
      const code =
        'echo "[$0 $1] [$OPENAI_API_KEY$ANTHROPIC_API_KEY]"; test -s ~/.codex/auth.json && echo file'
      const command = ['sh', '-c', code, '-s', 'workspace-write']
      const { out, err } = await start(command, [...at(level), '--agent', 'codex'])
      expect(out).toBe('[-s workspace-write] [the-key-of-codex]\nfile\n')
      expect(err).toContain(
        'broker: Codex CLI needs to be given: -c sandbox_workspace_write.network_access=true\n',
      )
    })

    it('is told of by --dry-run, which starts nothing', async () => {
      const before = await machine.leases()
      const { status, out } = await start(['claude'], ['--dry-run'])
      expect(status).toBe(0)
      expect(out).toContain('\nto know\n  Claude Code keeps its own login')
      const scrubbed = out.slice(out.indexOf('\nscrubbed\n'), out.indexOf('\nhidden\n'))
      expect(scrubbed).toContain('  OPENAI_API_KEY: ')
      expect(scrubbed).not.toContain('ANTHROPIC_API_KEY')
      expect(out).not.toContain('args=')
      expect(await machine.leases()).toEqual(before)
    })
  },
)
