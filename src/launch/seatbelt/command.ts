/** Part of every macOS; deprecated for years, and what everybody uses. */
const SANDBOX_EXEC = '/usr/bin/sandbox-exec'

export interface SeatbeltCommand {
  readonly path: string
  readonly args: readonly string[]
}

/**
 * What runs a command under a profile. The profile stands in the arguments: it holds no secret, and a file
 * could be changed between writing and reading.
 */
export function seatbeltCommand(
  profile: string,
  path: string,
  args: readonly string[],
): SeatbeltCommand {
  return { path: SANDBOX_EXEC, args: ['-p', profile, '--', path, ...args] }
}
