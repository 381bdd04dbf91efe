import { readFileSync } from 'node:fs'

export interface Unavailable {
  /** What is missing, in our words. */
  readonly reason: string
  /** How to get it. */
  readonly hint: string
  /** What bubblewrap said: not for people, since it is not in our words. */
  readonly said: string
}

export interface Symptoms {
  readonly missing: boolean
  readonly said: string
}

type Setting = (name: string) => string | undefined

const INSTALL =
  'install bubblewrap with the system\'s package manager (apt, dnf, pacman, apk or zypper call it "bubblewrap")'

const APPARMOR =
  'as root: install the package apparmor-profiles, copy /usr/share/apparmor/extra-profiles/bwrap-userns-restrict to /etc/apparmor.d and run apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict'

const NAMESPACES =
  'as root: sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000; in a container, start it so that user namespaces are allowed'

/** Says why bubblewrap did not build its walls and what to do. Its own words are matched, never shown. */
export function diagnose(
  { missing, said }: Symptoms,
  setting: Setting = kernelSetting,
): Unavailable {
  const because = (reason: string, hint: string) => ({ reason, hint, said })
  if (missing) return because('bubblewrap (bwrap) is not installed', INSTALL)
  const refused = REFUSED.test(said)
  if (refused && setting('kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return because('AppArmor keeps programs from making user namespaces', APPARMOR)
  }
  if (refused || NO_NAMESPACE.test(said)) {
    return because('user namespaces are not allowed here', NAMESPACES)
  }
  if (/mount proc|\/proc: Operation not permitted/i.test(said)) {
    return because(
      'a task of its own process table is not allowed here',
      'in a container, start it with --security-opt systempaths=unconfined',
    )
  }
  if (/Unknown option|seccomp/i.test(said)) {
    return because('this bubblewrap is too old, or was built without seccomp', INSTALL)
  }
  return because(
    'bubblewrap could not build the walls of the task',
    'run bwrap --unshare-all --ro-bind / / true: what it says names the reason',
  )
}

const REFUSED =
  /setting up uid map: Permission denied|Failed RTM_NEWADDR|Failed to make \/ slave: (?:Permission denied|Operation not permitted)/i
const NO_NAMESPACE =
  /No permissions to create new namespace|creating new namespace failed|namespaces? (?:is|are) not (?:supported|available|enabled)|unshare (?:user|failed)/i

function kernelSetting(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'latin1').trim()
  } catch {
    return undefined
  }
}
