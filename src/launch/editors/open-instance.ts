import { BrokerError } from '../../errors.ts'
import { userDataOf } from './arguments.ts'
import type { Editor } from './editor.ts'
import type { CommandLine } from './processes.ts'

export interface InstanceView {
  readonly text: (path: string) => string | undefined
  readonly runs: (pid: number) => boolean
}

/** Where the editor's main process writes its pid (VS Code, `mainLockfile`). */
const LOCK = 'code.lock'

/**
 * Throws `conflict` if the instance for this user data is open already. It would take the new window over, with the
 * variables of its own lease, while the launcher waits as if all were well.
 */
export function refuseOpenInstance(editor: Editor, userData: string, view: InstanceView): void {
  const pid = /^\s*(\d{1,10})\s*$/.exec(view.text(`${userData}/${LOCK}`) ?? '')?.[1]
  if (pid === undefined || !view.runs(Number(pid))) return
  throw openAlready(editor, Number(pid))
}

/**
 * The same for an instance behind walls, whose pids are its own namespace's: by the user data that its
 * processes name.
 */
export function refuseServedFolder(
  editor: Editor,
  userData: string,
  commandLines: readonly CommandLine[],
): void {
  const found = commandLines.find(({ words }) => userDataOf(words) === userData)
  if (found !== undefined) throw openAlready(editor, found.pid)
}

function openAlready(editor: Editor, pid: number): BrokerError {
  return new BrokerError('conflict', `"${editor.name}" is open for this project already`, {
    hint: `close its windows first, or give a --user-data-dir of its own to "${editor.name}"`,
    details: { editor: editor.name, pid },
  })
}
