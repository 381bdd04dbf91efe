const LONGEST_MS = 20_000

/** Waits for a condition; fails with what it waited for. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + LONGEST_MS
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
