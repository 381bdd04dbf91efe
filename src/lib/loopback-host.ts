const NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** True of a URL's `hostname` that means this machine and no other, so that plain http to it crosses no network. */
export function isLoopbackHost(hostname: string): boolean {
  return NAMES.has(hostname)
}
