import { describe, expect, it } from 'vitest'
import { EXEC_FLAGS } from '../../src/cli/exec-flags.ts'
import { KNOWN } from '../../src/exec/known-program.ts'
import { AGENTS } from '../../src/launch/agents/profiles.ts'
import { EDITORS } from '../../src/launch/editors/editor.ts'

describe('the first look at a command', () => {
  it.each(['/usr/bin/npm', '/usr/bin/node', '/bin/sh', '/usr/bin/psql', '/opt/codec/bin/run'])(
    'finds nothing special in %s',
    (path) => {
      expect(KNOWN.test(`${path}\n${path}`)).toBe(false)
    },
  )

  const agents = AGENTS.flatMap(({ programs, packages, folders }) => [
    ...programs.map((name) => `/usr/bin/${name.replace('*', 'x')}`),
    ...packages.map((name) => `/usr/lib/node_modules/${name}/cli.js`),
    ...folders.map((folder) => `/home/u${folder}1.0`),
  ])
  const editors = EDITORS.flatMap(({ programs }) =>
    programs.map((name) => `/usr/bin/${name.replace('*', 'x')}`),
  )
  it.each([...agents, ...editors, 'C:\\Programs\\Code.exe'])('does not pass over %s', (path) => {
    expect(KNOWN.test(`/usr/bin/x\n${path}`)).toBe(true)
    expect(KNOWN.test(`${path}\n/usr/bin/x`)).toBe(true)
  })

  it('lets every agent be named by a flag, and nobody else', () => {
    expect(EXEC_FLAGS.agent.options).toEqual(AGENTS.map(({ name }) => name))
  })
})
