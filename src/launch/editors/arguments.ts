import type { Editor } from './editor.ts'

export interface EditorPlace {
  /** The instance's own user data: one folder per project (`projectFolder(join(state, 'ide'), workTree)`). */
  readonly userData: string
  readonly home: string
}

/**
 * The arguments that give this task an instance of its own: a window that is already open has the variables
 * of whoever opened the first one, and would take this one over. What the person says of these
 * things stays. `undefined` for a start that opens no window (`--version`, `tunnel` …): nothing is to be added,
 * and its end is the end of the task. Pure.
 */
export function editorArguments(
  editor: Editor,
  args: readonly string[],
  place: EditorPlace,
): readonly string[] | undefined {
  if (opensNoWindow(args)) return undefined
  const own = args.slice(0, args.includes('--') ? args.indexOf('--') : args.length)
  const given = (...names: readonly string[]) =>
    own.some((one) => names.some((name) => one === name || one.startsWith(`${name}=`)))
  return [
    ...(given('--user-data-dir') ? [] : ['--user-data-dir', place.userData]),
    ...(given('--extensions-dir')
      ? []
      : ['--extensions-dir', `${place.home}/${editor.extensions}`]),
    ...(given('--new-window', '-n', '--reuse-window', '-r', '--add', '-a') ? [] : ['--new-window']),
    ...(given('--wait', '-w') ? [] : ['--wait']),
    ...args,
  ]
}

/** The user data of the instance: what the person gave, or ours. */
export function userDataOf(args: readonly string[]): string | undefined {
  const at = args.indexOf('--user-data-dir')
  if (at >= 0) return args[at + 1]
  return args.find((one) => one.startsWith('--user-data-dir='))?.slice('--user-data-dir='.length)
}

/** Programs of their own behind the editor's name, as its `--help` lists them. */
const COMMANDS = new Set(['tunnel', 'serve-web', 'agent', 'ext', 'status', 'version', 'update'])

const NO_WINDOW = new Set([
  '--version',
  '-v',
  '--help',
  '-h',
  '--status',
  '-s',
  '--list-extensions',
  '--install-extension',
  '--uninstall-extension',
  '--update-extensions',
  '--download-extension',
  '--add-mcp',
  '--telemetry',
  '--locate-shell-integration-path',
])

function opensNoWindow(args: readonly string[]): boolean {
  if (COMMANDS.has(args[0] ?? '')) return true
  return args.some((one) => NO_WINDOW.has(one.split('=')[0] ?? ''))
}
