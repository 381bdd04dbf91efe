import type { IsolationFacts } from './plan.ts'

/** Ways to programs of the person's outside, whose sockets are not there. */
const GONE = [
  'SSH_AUTH_SOCK',
  'SSH_AGENT_PID',
  'GPG_AGENT_INFO',
  'GNOME_KEYRING_CONTROL',
  'DBUS_SESSION_BUS_ADDRESS',
  'DBUS_SYSTEM_BUS_ADDRESS',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'WAYLAND_SOCKET',
  'XAUTHORITY',
  'SESSION_MANAGER',
  'PULSE_SERVER',
  'DOCKER_HOST',
  'CONTAINER_HOST',
  'TMUX',
  'TMUX_PANE',
  'STY',
  'VSCODE_IPC_HOOK',
  'VSCODE_IPC_HOOK_CLI',
  'VSCODE_GIT_IPC_HANDLE',
  'VSCODE_GIT_ASKPASS_NODE',
  'VSCODE_GIT_ASKPASS_MAIN',
  'VSCODE_GIT_ASKPASS_EXTRA_ARGS',
] as const

/** What changes in the environment because the places it names are not there. Pure. */
export function taskVariables(facts: Named): Record<string, string | undefined> {
  const variables: Record<string, string | undefined> = {}
  const sockets = new Set(facts.sockets.map(({ path }) => path))
  for (const name of GONE) {
    const value = facts.environment[name]
    if (value !== undefined && !sockets.has(value.replace(/^unix:\/\//, '')))
      variables[name] = undefined
  }
  for (const name of ['TMPDIR', 'TMP', 'TEMP']) {
    if (facts.environment[name] !== undefined) variables[name] = '/tmp'
  }
  // Archives name owners that root could give files to outside; here that fails, and tar with it.
  if (facts.uid === 0) variables['TAR_OPTIONS'] = '--no-same-owner'
  return variables
}

type Named = Pick<IsolationFacts, 'environment' | 'uid' | 'sockets'>

/** What the mounts of a plan depend on in the environment; its `variables` depend on more. Pure. */
export function placesIn(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const places = ['PATH', 'XDG_RUNTIME_DIR'].map((name) => [name, environment[name]])
  return Object.fromEntries(places.filter(([, value]) => value !== undefined))
}
