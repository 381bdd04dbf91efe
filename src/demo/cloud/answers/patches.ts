import { GraphQLError } from 'graphql'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import type { Access } from '../access.ts'
import { remove } from '../removal.ts'
import type { EnvironmentRow, PatchRow } from '../world.ts'
import type { RootAnswers } from './answer.ts'
import { applyPatch } from './apply-patch.ts'
import { stagedPatch } from './config.ts'

interface Commit {
  readonly environmentId: string
  readonly commitMessage?: string | null
  readonly patch?: JsonObject | null
  readonly skipDeploys?: boolean | null
}

/** A commit answers with the id of its patch. */
export const patches: RootAnswers = {
  // What a commit without a patch means is not documented; taken here as "what is staged".
  environmentPatchCommit: (commit: Commit, access: Access) => {
    if (!commit.patch) return commitStaged(commit, access)
    const environment = access.environment(commit.environmentId)
    return apply(access, environment, newPatch(access, environment, commit.patch), commit)
  },
  environmentPatchCommitStaged: (commit: Commit, access: Access) => commitStaged(commit, access),
  environmentStageChanges: (
    args: { environmentId: string; input: JsonObject; merge?: boolean | null },
    access: Access,
  ) => {
    const environment = access.environment(args.environmentId)
    const before = stagedPatch(access, environment.id)
    const patch = args.merge ? merged(before.patch, args.input) : args.input
    remove(access.world.patches, (each) => each === before)
    const staged = newPatch(access, environment, patch as JsonObject)
    access.world.patches.push(staged)
    return staged
  },
}

function commitStaged(commit: Commit, access: Access): string {
  const environment = access.environment(commit.environmentId)
  const staged = stagedPatch(access, environment.id)
  if (!access.world.patches.includes(staged)) throw new GraphQLError('No changes to commit')
  remove(access.world.patches, (each) => each === staged)
  return apply(access, environment, staged, commit)
}

function apply(access: Access, environment: EnvironmentRow, patch: PatchRow, commit: Commit) {
  applyPatch(access, environment, patch.patch, !commit.skipDeploys)
  const message = commit.commitMessage ?? null
  access.world.patches.push({ ...patch, status: 'COMMITTED', message })
  return patch.id
}

function newPatch(access: Access, { id }: EnvironmentRow, patch: JsonObject): PatchRow {
  return { ...access.maker.row(), environmentId: id, status: 'STAGED', patch, message: null }
}

/** The later patch over the earlier one; a null stays, since it deletes. */
function merged(before: Json | undefined, after: Json): Json {
  if (!isObject(before) || !isObject(after)) return after
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return Object.fromEntries(
    [...keys].map((key) => {
      const later = after[key]
      return [key, later === undefined ? (before[key] ?? null) : merged(before[key], later)]
    }),
  )
}
