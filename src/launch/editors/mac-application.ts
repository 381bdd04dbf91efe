import type { Editor } from './editor.ts'

export interface MacStart {
  readonly path: string
  readonly variables: Readonly<Record<string, string>>
}

/**
 * On macOS the launcher hands every variable of ours to `open` on its command line, for all to read, and has the
 * application started by somebody else. So the application's program is started itself, told that it
 * comes from a command line: it then keeps our variables and asks no login shell for others. `exists` is asked for
 * the names the program may have; `undefined` if none is there. Not verified on a Mac yet.
 */
export function macStart(
  editor: Editor,
  real: string,
  exists: (path: string) => boolean,
): MacStart | undefined {
  const bundle = /^.*?\.app(?=\/Contents\/)/.exec(real)?.[0]
  if (bundle === undefined) return undefined
  const path = editor.macPrograms.map((name) => `${bundle}/Contents/MacOS/${name}`).find(exists)
  return path === undefined ? undefined : { path, variables: { VSCODE_CLI: '1' } }
}
