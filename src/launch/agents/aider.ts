import type { AdjustFacts, Adjustment } from './profile.ts'

/**
 * aider reads `.env` of the home, of the repository and of where it stands, each over what is set, and has no
 * switch against it (0.86). Behind a mask these files read as empty.
 */
export function adjustAider({ level, home, workTree, text }: AdjustFacts): Adjustment {
  if (level !== 'scrub') return {}
  const there = [`${home}/.env`, `${workTree}/.env`].filter((path) => text(path)?.trim())
  return {
    remarks: there.map((path) => `aider reads ${path}, and puts it over the task's variables`),
  }
}
