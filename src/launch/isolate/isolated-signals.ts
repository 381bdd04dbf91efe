/** Names for the shell's `trap`: all that may end a process and that a person may send. */
export const IGNORED_BY_BUBBLEWRAP = ['HUP', 'INT', 'QUIT', 'TERM', 'USR1', 'USR2', 'ALRM'] as const
