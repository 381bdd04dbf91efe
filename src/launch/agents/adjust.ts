import type { FileView } from '../isolate/file-view.ts'
import type { AdjustFacts, Adjustment, AgentProfile } from './profile.ts'

export type AgentFacts = Omit<AdjustFacts, 'text'> & {
  readonly files: Pick<FileView, 'text' | 'real'>
}

/**
 * What has to change in the agent's command line, variables and settings for this lease. Its arguments go before
 * the person's, whose own win wherever an agent takes the last of two. People keep settings in a repository of
 * their own: links are followed, and `overlays` are for what they lead to. Writes nothing.
 */
export function adjustAgent(profile: AgentProfile, facts: AgentFacts): Required<Adjustment> {
  const { files, level } = facts
  const real = (path: string) => files.real(path) ?? path
  const made = profile.adjust?.({ ...facts, text: (path) => files.text(real(path)) }) ?? {}
  return {
    args: [...(made.args ?? []), ...facts.args],
    variables: { ...(level === 'scrub' ? {} : profile.isolated), ...made.variables },
    overlays: new Map([...(made.overlays ?? [])].map(([path, text]) => [real(path), text])),
    remarks: made.remarks ?? [],
  }
}
