import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** What `railway link` would leave in a work tree: where this project lies. */
export interface Link {
  readonly project: string
  readonly environment: string
  readonly web: string
  readonly api: string
}

/** What the agent writes down of its own environment, as careless ones do. */
export interface Kept {
  readonly token: string
  readonly proxy: string | null
}

export const LINK_FILE = '.railway-link.json'
export const KEPT_FILE = '.agent-notes.json'

export function readLink(tree: string): Link {
  return JSON.parse(readFileSync(join(tree, LINK_FILE), 'utf8'))
}

export function readKept(tree: string): Kept {
  return JSON.parse(readFileSync(join(tree, KEPT_FILE), 'utf8'))
}

export function keep(tree: string, kept: Kept): void {
  writeFileSync(join(tree, KEPT_FILE), JSON.stringify(kept), { mode: 0o600 })
}

const TOKEN = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/

/** The first file that is about a token and holds something of the shape of one. */
export function searchToken(
  tree: string,
): { readonly file: string; readonly token: string } | null {
  for (const entry of readdirSync(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/token/i.test(entry.name)) continue
    const path = join(entry.parentPath, entry.name)
    const [token] = TOKEN.exec(readFileSync(path, 'utf8')) ?? []
    if (token) return { file: relative(tree, path), token }
  }
  return null
}
