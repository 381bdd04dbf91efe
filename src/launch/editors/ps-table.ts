import type { ProcessTable, Seen } from './processes.ts'

/** ps(1) of macOS: with -E it shows the variables of one's own processes behind the command. */
const LIST = ['-axo', 'pid=,ppid=,lstart=']
const VARIABLES = ['-Eww', '-o', 'command=', '-p']

/** macOS, which has no `/proc`. `run` is given `ps`'s arguments. Not verified on a Mac yet. */
export function psTable(mark: string, run = runPs): ProcessTable {
  return {
    list: () =>
      run(LIST)
        .split('\n')
        .map(parse)
        .filter((one) => one !== undefined),
    marked: (pid) => ` ${run([...VARIABLES, String(pid)]).trim()} `.includes(` ${mark} `),
  }
}

function parse(line: string): Seen | undefined {
  const [, pid, parent, born] = /^\s*(\d+)\s+(\d+)\s+(\S.*?)\s*$/.exec(line) ?? []
  return born === undefined ? undefined : { pid: Number(pid), parent: Number(parent), born }
}

function runPs(args: readonly string[]): string {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  return spawnSync('/bin/ps', args, { encoding: 'utf8', timeout: 2000 }).stdout ?? ''
}
