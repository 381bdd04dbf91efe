/** Milliseconds of a clock that nobody sets. The first look at `performance` would load 1 ms of code. */
export function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1000 + nanoseconds / 1e6
}
