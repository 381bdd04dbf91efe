import { monotonic } from '../client/monotonic.ts'
import type { Child } from '../launch/child.ts'
import type { Editor } from '../launch/editors/editor.ts'
import { handedOver } from '../launch/editors/hand-over.ts'
import { procTable } from '../launch/editors/proc-table.ts'
import { type ProcessTable, TaskProcesses } from '../launch/editors/processes.ts'
import { psTable } from '../launch/editors/ps-table.ts'
import type { WholeChild, WholeEnd } from './launch.ts'
import type { ExecOptions } from './parse.ts'
import { say } from './say.ts'

/**
 * The editor's launcher and all that it leaves, as one child: ended when the last of them is, with the
 * launcher's status; told by signals and killed as a whole. At `scrub`, where no namespace holds them
 * together. With `--until-ttl` nothing is waited for.
 */
export function wholeTask(
  editor: Editor,
  child: Child,
  lease: string,
  { untilTtl, quiet }: Pick<ExecOptions, 'untilTtl' | 'quiet'>,
): WholeChild {
  const began = monotonic()
  const processes = new TaskProcesses(tableOf(`BROKER_LEASE=${lease}`), child.pid)
  processes.watch()
  let launcherGone = false
  return {
    pid: child.pid,
    ended: allEnded(),
    forward: (signal) => (launcherGone ? processes.signal(signal) : child.forward(signal)),
    kill: (signal) => {
      child.kill(signal)
      processes.signal(signal)
    },
  }

  async function allEnded(): Promise<WholeEnd> {
    const end = await child.ended
    launcherGone = true
    const others = processes.others()
    const warning = handedOver(editor, { end, ranMs: monotonic() - began, others })
    try {
      if (warning !== undefined) {
        say(warning) // also with --quiet: what was opened does not have what it was opened for
        return { ...end, unused: true }
      }
      if (untilTtl) return end
      if (others.length > 0 && !quiet) say(`the lease stays until ${editor.title} is closed`)
      await processes.allGone()
      return end
    } finally {
      processes.close()
    }
  }
}

function tableOf(mark: string): ProcessTable {
  return process.platform === 'linux' ? procTable(mark) : psTable(mark)
}
