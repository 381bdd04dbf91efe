import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

/** The real command line of Railway, which these tests drive. */
export interface RailwayCli {
  readonly path: string
  /** "5.71.0" */
  readonly version: string
}

const HOW =
  'build one with "cargo install railwayapp --locked" (with --debug it takes half as long), put it ' +
  'on PATH or name it in RAILWAY_CLI'

/** RAILWAY_CLI, or `railway` on PATH. Says loudly that there is none, and where one comes from. */
export function findRailwayCli(): RailwayCli | null {
  const named = process.env['RAILWAY_CLI']
  const candidates = named
    ? [named]
    : (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'railway'))
  for (const path of candidates) {
    const version = versionOf(path)
    if (version !== null) return { path, version }
  }
  // Somebody who names one means it.
  if (named) throw new Error(`RAILWAY_CLI names no Railway CLI: "${named}"`)
  console.warn(`\nSKIPPED: no Railway CLI to test with: ${HOW}\n`)
  return null
}

/** Asks the program itself, in an empty home: it writes into the one it finds. */
function versionOf(path: string): string | null {
  const home = mkdtempSync(join(tmpdir(), 'railway-version-'))
  try {
    const env = { HOME: home, PATH: dirname(path), RAILWAY_NO_AUTO_UPDATE: '1' }
    const said = execFileSync(path, ['--version'], { env, stdio: 'pipe', timeout: 20_000 })
    return /^railway(?:app)? (\d+\.\d+\.\d+)/.exec(said.toString())?.[1] ?? null
  } catch {
    return null
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/**
 * The sources a CLI was built from, where cargo keeps them, or RAILWAY_CLI_SOURCES. Those of the
 * version, or the last ones there are. Says loudly that there are none.
 */
export function findRailwaySources(version: string | undefined): string | null {
  const named = process.env['RAILWAY_CLI_SOURCES']
  if (named) return named
  const cargo = process.env['CARGO_HOME'] ?? join(homedir(), '.cargo')
  const found = globSync(join(cargo, 'registry', 'src', '*', 'railwayapp-*')).sort(byVersion)
  const own = found.find((folder) => folder.endsWith(`railwayapp-${version}`)) ?? found.at(-1)
  if (!own) console.warn(`\nSKIPPED: no sources of the Railway CLI to read: ${HOW}\n`)
  return own ?? null
}

function byVersion(one: string, other: string): number {
  return one.localeCompare(other, 'en', { numeric: true })
}
