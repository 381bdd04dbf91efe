import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

/** What a light command may not load: it asks the daemon, where all of this lives. */
const HEAVY =
  /node_modules\/(?:pg|zod|kysely|fastify|undici|jose|age-encryption|yaml|graphql|@aws-sdk|@inquirer|yocto-spinner)\//
const BEHIND = /^src\/(?:broker|store|vault|providers|daemon|proxy|audit|identity|templates)\//

let metafile: Metafile

beforeAll(async () => {
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/main.ts', 'src/commands/tokens.ts', 'src/commands/connect.ts'],
    bundle: true,
    write: false,
    metafile: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    outdir: join(root, 'dist-of-nothing'),
    external: ['keytar', 'pg-native'],
    logLevel: 'silent',
  })
  metafile = result.metafile
})

/** Sources that are loaded before the first line of the entry runs; `all`: or ever could be. */
function sourcesOf(entry: string, all: boolean): string[] {
  const seen = new Set<string>()
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { path: next, kind, external } of metafile.outputs[path]?.imports ?? []) {
      if (!external && (all || kind !== 'dynamic-import')) visit(next)
    }
  }
  const start = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entry)
  visit(start?.[0] ?? '')
  return [...seen].flatMap((path) => Object.keys(metafile.outputs[path]?.inputs ?? {}))
}

describe('start-up', () => {
  test('the guard itself sees what is loaded and what could be', () => {
    expect(sourcesOf('src/commands/tokens.ts', false)).toContain('src/cli/base-command.ts')
    expect(sourcesOf('src/commands/connect.ts', true).some((path) => HEAVY.test(path))).toBe(true)
  })

  test.each(['src/commands/tokens.ts', 'src/cli/main.ts'])('%s loads nothing heavy', (entry) => {
    const sources = sourcesOf(entry, false)
    expect(sources.filter((path) => HEAVY.test(path))).toEqual([])
  })

  test.each(['src/commands/tokens.ts', 'src/cli/main.ts'])(
    '%s can never load the daemon',
    (entry) => {
      expect(sourcesOf(entry, true).filter((path) => BEHIND.test(path))).toEqual([])
    },
  )

  test('the version and the overview do not even load the framework', () => {
    const sources = sourcesOf('src/cli/main.ts', false)
    expect(sources.filter((path) => path.includes('@oclif/core'))).toEqual([])
  })
})
