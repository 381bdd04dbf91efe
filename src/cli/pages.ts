import { jsonText, type Look, print, remark } from './terminal.ts'

export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor: string | null
}

/** Page after page, from the first to the last. `fetch` gets the cursor of the page it is to bring. */
export async function* pagesOf<T>(
  fetch: (cursor: string | undefined) => Promise<Page<T>>,
): AsyncGenerator<readonly T[]> {
  let cursor: string | undefined
  do {
    const page = await fetch(cursor)
    yield page.items
    cursor = page.nextCursor ?? undefined
  } while (cursor !== undefined)
}

/** `{"<key>":[…]}`, an item a line, written as the pages come: a million items need no memory. */
export async function printJsonList<T>(
  key: string,
  pages: AsyncIterable<readonly T[]>,
): Promise<void> {
  let held: string | undefined // the comma after a line is known only when the next one is
  let begun = false
  const begin = () => {
    if (!begun) print([`{${JSON.stringify(key)}:[`])
    begun = true
  }
  for await (const items of pages) {
    begin()
    const lines = items.map((item) => jsonText(item, 0))
    if (lines.length === 0) continue
    const ready = held === undefined ? lines : [held, ...lines]
    held = ready.pop()
    print(ready.map((line) => `${line},`))
  }
  begin()
  print(held === undefined ? [']}'] : [held, ']}'])
}

/**
 * A pipe gets everything, a person the newest page: nobody reads a million lines. `advice` says how to
 * see the rest. Returns how many were shown.
 */
export async function printNewest<T>(
  pages: AsyncIterable<readonly T[]>,
  rows: (items: readonly T[]) => readonly string[],
  look: Look,
  advice: string,
): Promise<number> {
  let shown = 0
  for await (const items of pages) {
    if (shown > 0 && look.terminal) {
      remark([`only the newest ${shown} are shown: ${advice}`])
      return shown
    }
    if (items.length > 0) print(rows(items))
    shown += items.length
  }
  return shown
}
