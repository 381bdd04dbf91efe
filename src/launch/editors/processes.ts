/** One look at a process of this machine. */
export interface Seen {
  readonly pid: number
  readonly parent: number
  /** With the pid, what no other process will ever have. */
  readonly born: string
}

export interface CommandLine {
  readonly pid: number
  readonly words: readonly string[]
}

/** How to look. `marked` may be dear: it is asked for few processes, and not again once it said yes. */
export interface ProcessTable {
  list(): readonly Seen[]
  /** True if the process was started with the mark of the task in its environment. */
  marked(pid: number): boolean
}

const LOOK_EVERY_MS = 500

/** The terminal's own, for what is in front of it. */
const JOB_CONTROL: ReadonlySet<NodeJS.Signals> = new Set(['SIGTSTP', 'SIGCONT', 'SIGWINCH'])

/** Between `fork` and `exec` a process has its parent's environment; two looks later it has its own. */
const LOOKS = 3

/**
 * The processes of a task that is held together by no namespace: its first one, those started with the mark
 * of the task (in the environment, which a double fork and `setsid` keep), and all their descendants. An
 * inherited pipe would tell less: Node, and with it every launcher written in it, passes none on. What
 * both wipes its environment and leaves its parents within half a second is lost sight of.
 */
export class TaskProcesses {
  readonly #table: ProcessTable
  readonly #first: number
  #ours = new Map<number, string>()
  #looks = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #waiting: (() => void)[] = []

  constructor(table: ProcessTable, first: number) {
    this.#table = table
    this.#first = first
  }

  /** From now on: call it when the first process has started. May be repeated. */
  watch(): void {
    if (this.#timer === undefined) this.#remember(this.#table.list())
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref()
    this.#look()
  }

  /** Processes of the task that run at this moment, its first one left out. */
  others(): readonly number[] {
    this.#look()
    return [...this.#ours.keys()].filter((pid) => pid !== this.#first)
  }

  /** To `others()`; but not what a terminal tells a job. May be repeated. */
  signal(signal: NodeJS.Signals): void {
    if (JOB_CONTROL.has(signal)) return
    for (const pid of this.others()) {
      try {
        process.kill(pid, signal)
      } catch {
        // It has ended since.
      }
    }
  }

  /** Fulfilled when no process of the task is left; it may be asked for again. Keeps our own process up. */
  allGone(): Promise<void> {
    this.watch()
    this.#timer?.ref()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#look()
    })
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** With its birth: its number may be another's by the time it has ended. */
  #remember(seen: readonly Seen[]): void {
    const first = seen.find(({ pid }) => pid === this.#first)
    if (first !== undefined && this.#ours.size === 0) this.#ours.set(first.pid, first.born)
  }

  #look(): void {
    const seen = this.#table.list()
    this.#ours = this.#recognised(seen)
    if (this.#ours.size > 0 || this.#waiting.length === 0) return
    this.close()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Descendants are found whatever order they are listed in: a pid may come round to below its parent's. */
  #recognised(seen: readonly Seen[]): Map<number, string> {
    const looks = new Map<string, number>()
    const ours = new Map<number, string>()
    const add = (one: Seen) => ours.set(one.pid, one.born)
    for (const one of seen) {
      if (this.#ours.get(one.pid) === one.born) add(one)
      else if (this.#isMarked(one, looks)) add(one)
    }
    for (let before = -1; before !== ours.size; ) {
      before = ours.size
      for (const one of seen) if (ours.has(one.parent) && !ours.has(one.pid)) add(one)
    }
    this.#looks = looks
    return ours
  }

  #isMarked({ pid, born }: Seen, looks: Map<string, number>): boolean {
    const key = `${pid} ${born}`
    const count = this.#looks.get(key) ?? 0
    looks.set(key, count + 1)
    return count < LOOKS && this.#table.marked(pid)
  }
}
