import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { EXEC, Machine, withBubblewrap, withoutBubblewrap } from './machine.ts'

const AT_LEAST_MASK = `version: 1
environments:
  staging:
    api: { provider: jwt, audience: https://api.staging.example }
templates:
  kept-apart:
    environments: [staging]
    isolation: mask
    grants:
      api: { allow: [orders:read] }
`

const REFUSES = 'echo "bwrap: No permissions to create new namespace" >&2; exit 1'

let machine: Machine

describe.runIf(hasBubblewrap()).each(PERSONS)(
  'the level of broker exec, as %s',
  (person: Person) => {
    beforeEach(() => {
      machine = new Machine(person)
    })
    afterEach(() => machine.remove())

    it.each(['mask', 'confine'])(
      'that is asked for by name and does not work is refused, and nothing is asked for: %s',
      async (level) => {
        const env = withoutBubblewrap(machine)
        const { status, out, err } = await machine.sh('echo RAN', ['--isolation', level], { env })
        expect({ status, out }).toEqual({ status: 125, out: '' })
        expect(err).toContain(
          `broker: isolation "${level}" is not possible here: bubblewrap (bwrap) is not installed\n`,
        )
        expect(err).toMatch(/\nhint: install bubblewrap/)
        expect(machine.daemon()).toBeUndefined()
        expect(existsSync(machine.state)).toBe(false)
      },
    )

    it('says what keeps bubblewrap from working, and not in its words', async () => {
      const env = withBubblewrap(machine, REFUSES)
      const { status, err } = await machine.sh('echo RAN', ['--isolation=confine'], { env })
      expect(status).toBe(125)
      expect(err).toContain('not possible here: user namespaces are not allowed here\n')
      expect(err).toContain('max_user_namespaces')
      expect(err).not.toContain('No permissions')
    })

    it("is never below the template's least, whose refusal says what is missing", async () => {
      await machine.apply(AT_LEAST_MASK)
      const env = withoutBubblewrap(machine)
      const { status, out, err } = await machine.sh('echo RAN', [], { env })
      expect({ status, out }).toEqual({ status: 125, out: '' })
      expect(err).toMatch(/template "kept-apart" asks for isolation "mask".*"scrub"/)
      expect(err).toContain('bubblewrap (bwrap) is not installed')
      expect(err).toMatch(/\nhint: install bubblewrap/)
      expect((await machine.leases()).filter(({ state }) => state === 'active')).toEqual([])
      const reached = await machine.sh('echo RAN')
      expect(reached).toMatchObject({ status: 0, out: 'RAN\n' })
      expect(reached.err).toContain('isolation confine')
    })

    it('is not decided by a bwrap in the work tree, which an earlier task could have put there', async () => {
      const marker = join(machine.folder, 'it-ran')
      machine.put('home/project/node_modules/.bin/bwrap', `#!/bin/sh\ntouch ${marker}\n`, 0o755)
      const PATH = `${machine.project}/node_modules/.bin:${withoutBubblewrap(machine).PATH}`
      const { status } = await machine.sh('echo RAN', ['--isolation', 'mask'], { env: { PATH } })
      expect(status).toBe(125)
      expect(existsSync(marker)).toBe(false)
    })

    it('is never less because a file that runs later is a link: a task may have left it', async () => {
      await machine.run(['daemon', 'start'])
      expect((await machine.sh('true')).status).toBe(0) // what works is known: no probe looks first
      symlinkSync('main.js', join(machine.project, '.envrc'))
      const { status, out, err } = await machine.sh('echo RAN')
      expect({ status, out }).toEqual({ status: 125, out: '' })
      expect(err).toContain('/.envrc" is a link and cannot be protected')
      expect(await machine.leases()).toHaveLength(1)
      const flags = ['--allow-write', '.envrc']
      expect(await machine.sh('echo RAN', flags)).toMatchObject({ status: 0, out: 'RAN\n' })
    })

    it('is not for a home: refused by name, and said where it is left to us', async () => {
      const cwd = machine.home
      const named = await machine.sh('echo RAN', ['--isolation', 'confine'], { cwd })
      expect({ status: named.status, out: named.out }).toEqual({ status: 125, out: '' })
      expect(named.err).toContain('cannot be a work tree: it holds the whole home')
      const left = await machine.sh('echo RAN', [], { cwd })
      expect(left).toMatchObject({ status: 0, out: 'RAN\n' })
      expect(left.err).toMatch(
        /^broker: isolation scrub and not confine: .*it holds the whole home/,
      )
    })

    it('lets nothing be written outside of the work tree', async () => {
      const { status, err } = await machine.sh('true', ['--allow-write', '/etc'])
      expect(status).toBe(125)
      expect(err).toContain('--allow-write "/etc" is not in the work tree')
    })

    it('left to us is the strongest that works, and if not confine then why, once', async () => {
      const none = await machine.sh('echo RAN', [], { env: withoutBubblewrap(machine) })
      expect(none).toMatchObject({ status: 0, out: 'RAN\n' })
      expect(none.err).toMatch(
        /^broker: isolation scrub and not confine: bubblewrap \(bwrap\) is not installed \(install .*\)\nbroker: lease .* · isolation scrub · /,
      )
      const quiet = await machine.sh('true', ['--quiet'], { env: withoutBubblewrap(machine) })
      expect(quiet.err).toBe('')
      // The list of what to do comes by descriptor 3; a program that cannot have a network of its own.
      const noNetwork = `tr '\\0' '\\n' <&3 >"${machine.folder}/list"
if grep -qx -- --unshare-net "${machine.folder}/list"; then ${REFUSES}; fi
tr '\\n' '\\0' <"${machine.folder}/list" >"${machine.folder}/list0"
exec /usr/bin/bwrap "$@" 3<"${machine.folder}/list0"`
      const masked = await machine.sh('echo RAN', [], { env: withBubblewrap(machine, noNetwork) })
      expect(masked).toMatchObject({ status: 0, out: 'RAN\n' })
      expect(masked.err).toMatch(
        /^broker: isolation mask and not confine: .*\nbroker: lease .* · isolation mask · /,
      )
      const all = await machine.sh('echo RAN')
      expect(all.err).toMatch(/^broker: lease .* · isolation confine · /)
      expect((await machine.leases()).map(({ isolation }) => isolation)).toEqual([
        'confine',
        'mask',
        'scrub',
        'scrub',
      ])
    })

    it('that worked before is believed until a start fails, which is told and forgotten', async () => {
      const counted = `echo >>"${machine.folder}/calls"
[ -e "${machine.folder}/broken" ] && { ${REFUSES}; }
exec /usr/bin/bwrap "$@"`
      const env = withBubblewrap(machine, counted)
      const kept = join(machine.state, 'isolation.json')
      const calls = () => readFileSync(join(machine.folder, 'calls'), 'utf8').length
      await machine.run(['daemon', 'start'])
      expect((await machine.sh('true', [], { env })).status).toBe(0)
      expect(existsSync(kept)).toBe(true)
      expect(calls()).toBe(2)
      expect((await machine.sh('true', [], { env })).status).toBe(0)
      expect(calls()).toBe(3) // no probe
      machine.put('broken', '')
      const failed = await machine.sh('echo RAN', [], { env })
      expect({ status: failed.status, out: failed.out }).toEqual({ status: 125, out: '' })
      expect(failed.err).toContain('broker: the isolated task could not be started\n')
      expect(existsSync(kept)).toBe(false)
      expect((await machine.leases())[0]?.state).toBe('revoked')
      const told = await machine.sh('echo RAN', ['--isolation', 'confine'], { env })
      expect(told.err).toContain('is not possible here: user namespaces are not allowed here')
      rmSync(join(machine.folder, 'broken'))
      expect((await machine.sh('echo RAN', [], { env })).out).toBe('RAN\n')
    })

    it('is shown by --dry-run with what would be hidden, and nothing runs', async () => {
      const { status, out } = await machine.run(
        [...EXEC, '--dry-run', '--', 'sh', '-c', 'echo RAN'],
        {
          env: { GITHUB_TOKEN: CANARY_TOKEN },
        },
      )
      expect(status).toBe(0)
      for (const part of [
        'isolation confine\n',
        '\nhidden\n  the home, but for tools',
        "  the network, but for the lease's own proxy\n",
        '  .env: reads as empty\n',
        '  .vscode: runs later with your rights\n',
        '  GITHUB_TOKEN: ',
      ]) {
        expect(out).toContain(part)
      }
      expect(out).not.toContain('RAN')
      expect(out).not.toContain(CANARY_TOKEN)
      expect(await machine.leases()).toEqual([])
    })
  },
)

const CANARY_TOKEN = `ghp_${'a1B2'.repeat(9)}`
