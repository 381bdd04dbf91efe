declare const __BROKER_TEST_BUILD__: boolean

/**
 * Crash points for the crash tests: `BROKER_FAULT=C4` kills the process (SIGKILL, no clean-up) when
 * it reaches point C4; `C4:3` at the third time; `C4=stop` stops it (SIGSTOP) instead. Exists only in
 * test builds: in a release build the constant is false and the bundler removes all of it.
 */
export function faultPoint(point: string): void {
  if (!__BROKER_TEST_BUILD__) return
  const wanted = process.env['BROKER_FAULT']
  const match = wanted?.match(/^([^:=]+)(?::(\d+))?(?:=(\w+))?$/)
  if (!match || match[1] !== point) return
  const reached = (counts.get(point) ?? 0) + 1
  counts.set(point, reached)
  if (reached !== Number(match[2] ?? 1)) return
  process.kill(process.pid, match[3] === 'stop' ? 'SIGSTOP' : 'SIGKILL')
  // SIGKILL is not instant for the caller: never run on.
  if (match[3] !== 'stop') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

const counts = new Map<string, number>()
