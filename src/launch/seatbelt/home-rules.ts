import type { FileView } from '../isolate/file-view.ts'
import { holdsCredentials } from '../isolate/home.ts'
import allow from '../isolate/home-allow.json' with { type: 'json' }
import { isWithin } from '../isolate/paths.ts'
import places from './places.json' with { type: 'json' }
import { literal, rule, subpath } from './sbpl.ts'

interface Named {
  readonly agentState: readonly string[]
  readonly alsoRead: readonly string[]
}

/**
 * What of the home is open, by its name there and by where that leads. Start-up files of shells and settings
 * with keys in them stay closed: there is no showing a filtered copy in their place.
 */
export function homeRules(files: FileView, home: string, named: Named): string[] {
  const readable = [...allow.toolChains, ...allow.settings, ...places.readInHome, ...named.alsoRead]
  const open = (names: readonly string[]) =>
    names.flatMap((name) => opened(files, home, name)).map(subpath)
  return [
    ...rule('allow', 'file-read*', open(readable)),
    ...rule('allow', 'file-read* file-write*', open(named.agentState)),
    // The name of the home itself is asked for by most programs.
    ...rule('allow', 'file-read-metadata', [literal(home)]),
  ]
}

function opened(files: FileView, home: string, name: string): string[] {
  const path = `${home}/${name}`
  const real = files.real(path)
  if (real === undefined || isWithin(home, real) || holdsCredentials(home, real)) return []
  return [...new Set([path, real])]
}
