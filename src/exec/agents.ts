import { homedir } from 'node:os'
import { adjustAgent } from '../launch/agents/adjust.ts'
import { loginOf } from '../launch/agents/login.ts'
import type { AgentProfile } from '../launch/agents/profile.ts'
import type { Program } from '../launch/agents/program.ts'
import { agentNamed, agentOf, mayBeTheTasks } from '../launch/agents/recognise.ts'
import { editorOf } from '../launch/editors/editor.ts'
import { hostFiles } from '../launch/isolate/file-view.ts'
import { isWithin } from '../launch/isolate/paths.ts'
import { workTreeOf } from '../launch/isolate/plan.ts'
import { changedEnvironment } from './changed-environment.ts'
import { editorLaunch } from './editors.ts'
import type { Fitted, Launch, LeaseFacts, Surroundings } from './launch.ts'
import type { ExecOptions } from './parse.ts'
import type { TaskPlace } from './task.ts'

/** `undefined` for a command that is neither an agent nor an editor. */
export function knownLaunch(
  options: ExecOptions,
  place: TaskPlace,
  program: Program,
): Launch | undefined {
  const home = place.env['HOME'] || homedir()
  const workTree = workTreeOf(place.cwd, home, hostFiles)
  const around = { options, place, home, workTree }
  const profile = agentOf(program)
  if (options.agent !== undefined) {
    const named = agentNamed(options.agent)
    return named && agentLaunch(named, around, named !== profile)
  }
  const editor = profile === undefined ? editorOf(program) : undefined
  const title = profile?.title ?? editor?.title
  if (title === undefined) return undefined
  // What holds the home is let in behind no wall, so no task could have put anything there.
  const shared = !isWithin(hostFiles.real(home) ?? home, workTree)
  if (shared && mayBeTheTasks(program.real, workTree)) {
    const hint = profile ? ` (--agent ${profile.name} if it is yours)` : ''
    return strangerLaunch(title, hint, options)
  }
  return profile
    ? agentLaunch(profile, around, false)
    : editor && editorLaunch(editor, around, program)
}

/** `wrapped`: something else is started that starts the agent, and what comes first is that one's. */
function agentLaunch(profile: AgentProfile, around: Surroundings, wrapped: boolean): Launch {
  const { options, place, home, workTree } = around
  const facts = { args: options.args, environment: place.env, home, files: hostFiles }
  const login = loginOf(profile, { ...facts, level: 'mask' })
  const fit = ({ level, environment, granted }: LeaseFacts): Fitted => {
    const uid = process.getuid?.() ?? -1
    const { stateFolder } = login
    const more = { level, environment, granted, workTree, stateFolder, uid }
    const adjusted = adjustAgent(profile, { ...facts, ...more })
    const added = wrapped ? adjusted.args.slice(0, -options.args.length || undefined) : []
    return {
      args: wrapped ? options.args : adjusted.args,
      environment: changedEnvironment(environment, adjusted.variables),
      overlays: adjusted.overlays,
      remarks: [
        ...loginOf(profile, { ...facts, level }).remarks,
        ...(added.length > 0 ? [`${profile.title} needs to be given: ${added.join(' ')}`] : []),
        ...adjusted.remarks,
      ],
      hosts: login.hosts,
    }
  }
  return {
    pass: login.pass,
    letIn: {
      ...{ state: login.state, alsoRead: login.held, runsLater: login.runsLater },
      ...{ sockets: [], folders: [], waits: false },
    },
    shortfall: undefined,
    admit: () => {},
    fit,
  }
}

/** An earlier task may have put it there: it is started as any other program, which is said. */
function strangerLaunch(title: string, hint: string, { args }: ExecOptions): Launch {
  const remark = `what looks like ${title} is in the work tree, where a task may have put it: it is given nothing of ${title}'s${hint}`
  return {
    pass: [],
    letIn: { state: [], alsoRead: [], runsLater: [], sockets: [], folders: [], waits: false },
    shortfall: undefined,
    admit: () => {},
    fit: ({ environment }) => ({ args, environment, remarks: [remark], hosts: [] }),
  }
}
