import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Program } from '../launch/agents/program.ts'
import { editorArguments, userDataOf } from '../launch/editors/arguments.ts'
import { type Display, displayOf } from '../launch/editors/display.ts'
import type { Editor } from '../launch/editors/editor.ts'
import { macStart } from '../launch/editors/mac-application.ts'
import { refuseOpenInstance, refuseServedFolder } from '../launch/editors/open-instance.ts'
import { commandLines } from '../launch/editors/proc-table.ts'
import { hostFiles } from '../launch/isolate/file-view.ts'
import type { Level } from '../launch/isolate/level.ts'
import { isWithin } from '../launch/isolate/paths.ts'
import { projectFolder } from '../launch/isolate/prepare.ts'
import type { Shortfall } from '../launch/isolate/reach.ts'
import { ensurePrivateFolder } from '../lib/home.ts'
import { changedEnvironment } from './changed-environment.ts'
import type { Fitted, Launch, LeaseFacts, LetIn, Surroundings } from './launch.ts'
import { wholeTask } from './whole-task.ts'

/**
 * An instance of the editor of its own, whose windows are the task. `undefined` for a start that opens
 * none, which is a command like any other.
 */
export function editorLaunch(
  editor: Editor,
  { options, place, home, workTree }: Surroundings,
  { real }: Program,
): Launch | undefined {
  const display = displayOf(place.env)
  // Settings that were written behind walls would run programs without them: each has its own.
  const ours = (level: Level) =>
    projectFolder(join(place.home.state, level === 'scrub' ? 'ide' : 'ide-inside'), workTree)
  const started = (level: Level) =>
    editorArguments(editor, options.args, { userData: ours(level), home })
  const usual = started('scrub')
  if (usual === undefined) return undefined
  const given = userDataOf(options.args)
  const givenFolder = given === undefined ? undefined : resolve(place.cwd, given)
  return {
    pass: [],
    letIn: letIn(editor, display, given === undefined ? [ours('mask')] : []),
    shortfall: shortfallOn(editor, display),
    admit: (level) => {
      const userData = givenFolder ?? ours(level)
      if (level === 'scrub') refuseOpenInstance(editor, userData, { text: hostFiles.text, runs })
      else refuseServedFolder(editor, given ?? userData, commandLines())
      if (given === undefined) ensurePrivateFolder(userData)
    },
    fit: (lease) => fitted(lease, started(lease.level) ?? usual),
    whole: (child, level, lease) =>
      level === 'scrub' ? wholeTask(editor, child, lease, options) : child,
  }

  function fitted({ level, environment }: LeaseFacts, args: readonly string[]): Fitted {
    const isolated = level !== 'scrub'
    const mac = process.platform === 'darwin' ? macStart(editor, real, existsSync) : undefined
    const shown = isolated && display.kind === 'wayland' ? display.variables : {}
    const lost = isolated && givenFolder !== undefined && !isWithin(givenFolder, workTree)
    return {
      ...(mac && { path: mac.path }),
      args,
      environment: changedEnvironment(environment, { ...shown, ...mac?.variables }),
      remarks: lost ? [`"${given}" is not let in: what ${editor.title} keeps there is lost`] : [],
      hosts: [],
    }
  }
}

function letIn(editor: Editor, display: Display, folders: readonly string[]): LetIn {
  const sockets = display.kind === 'wayland' ? [{ from: display.socket, path: display.socket }] : []
  return {
    state: [],
    alsoRead: [editor.extensions],
    runsLater: [],
    sockets,
    folders: folders.map((path) => ({ path, writable: true })),
    waits: true,
  }
}

function shortfallOn({ title }: Editor, display: Display): Shortfall | undefined {
  if (display.kind === 'wayland') return undefined
  return {
    reason: `${title}: ${display.reason}`,
    hint: 'start it in a Wayland session; or take --isolation scrub, which is no boundary',
  }
}

/** One of another person's is none that could take anything over. */
function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
