/** Names for the shell's `trap`: all that may end a process and that a person may send. */
export const IGNORED_BY_BUBBLEWRAP = ['HUP', 'INT', 'QUIT', 'TERM', 'USR1', 'USR2', 'ALRM'] as const

/** Those that a terminal sends to the whole foreground group, the command included. */
export const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGINT',
  'SIGQUIT',
  'SIGTSTP',
  'SIGCONT',
  'SIGWINCH',
])
