import type { FileView } from './file-view.ts'

/**
 * The same files, each looked at once: a plan that is made twice, before the lease is there and with
 * it, walks a large work tree once. Good for moments; what changes in between is not seen.
 */
export function rememberedFiles(files: FileView): FileView {
  return {
    entry: once(files.entry),
    target: once(files.target),
    real: once(files.real),
    list: once(files.list),
    bits: files.bits, // of thousands of files, each asked for once
    text: once(files.text),
  }
}

function once<T>(look: (path: string) => T): (path: string) => T {
  const seen = new Map<string, T>()
  return (path) => {
    if (seen.has(path)) return seen.get(path) as T
    const found = look(path)
    seen.set(path, found)
    return found
  }
}
