import type { Documents } from '../broker/configure.ts'
import { BUILTIN } from '../templates/builtin.ts'
import { definition, fingerprint } from '../templates/fingerprint.ts'

/** How broker.yaml is understood. YAML and its schema are big: loaded when the first document comes in. */
export const documents: Documents = {
  async read(text, known) {
    const [{ readDocument }, { compile }] = await load()
    const { document, issues } = readDocument(text)
    if (!document) return { issues }
    const compiled = compile(document, known)
    return { ...compiled, issues: [...issues, ...compiled.issues] }
  },
  async changes(before, after, known) {
    const [, , { changes }] = await load()
    return changes(before, after, known)
  },
  definition,
  fingerprint,
  builtin: BUILTIN,
}

export async function preloadDocuments(): Promise<void> {
  await load()
}

function load() {
  return Promise.all([
    import('../templates/read.ts'),
    import('../templates/compile.ts'),
    import('../templates/diff.ts'),
  ])
}
