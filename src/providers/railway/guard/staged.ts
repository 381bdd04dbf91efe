import type { ArgumentNode } from 'graphql'
import type { Classified, Operation, Verdict } from '../../../core/guard.ts'
import { decided, malformed, quote, Refused } from '../../../core/refused.ts'
import { isObject, type Json } from '../../../lib/json.ts'
import { riskOf } from '../catalogue/catalogue.ts'
import { chooseOperation } from './document.ts'
import { judgeGraphql } from './graphql-request.ts'
import { parseJson } from './json.ts'
import { COMMIT_STAGED } from './staged-need.ts'
import { readVariables, resolveValue, type Variables } from './values.ts'

const COMMIT = 'environmentPatchCommit'

/**
 * Judges a commit of staged changes by the patch that was read for it (its `staged-patch` need), and
 * replaces it by the commit of exactly that patch: what somebody stages in the meantime is not carried
 * out. The answer keeps its key. The operations keep the name the caller used, so rules about staged
 * commits apply. `skipDeploys: true` has no counterpart there and is refused.
 */
export function withStagedPatch({ forward, needs }: Classified, patch: Json): Verdict {
  return decided(() => {
    const [need, ...others] = needs
    if (forward.kind !== 'body' || !need || others.length > 0) {
      throw malformed('the request is no commit of staged changes')
    }
    if (!isObject(patch)) throw malformed('the staged patch is not an object')
    const { key, message } = readCommit(forward.text)
    const judged = judgeGraphql(commitOf(key, need.environment, patch, message), false)
    return {
      outcome: 'classified',
      operations: judged.operations.map(asStaged),
      needs: [],
      forward: { ...forward, text: JSON.stringify(judged.parameters) },
    }
  })
}

function commitOf(key: string, environmentId: string, patch: Json, commitMessage: Json): Json {
  const query =
    'mutation($environmentId:String! $patch:EnvironmentConfig $commitMessage:String)' +
    `{${key}:${COMMIT}(environmentId:$environmentId,patch:$patch,commitMessage:$commitMessage)}`
  return { query, variables: { environmentId, patch, commitMessage } }
}

function asStaged(operation: Operation): Operation {
  const name = operation.name.replace(COMMIT, COMMIT_STAGED)
  return { ...operation, name, risk: riskOf(name) }
}

/** Reads our own canonical text again: nothing of the request is kept between the two judgements. */
function readCommit(text: string): { readonly key: string; readonly message: Json } {
  const parameters = parseJson(text)
  const query = isObject(parameters) ? parameters['query'] : null
  if (!isObject(parameters) || typeof query !== 'string')
    throw malformed('the commit is not readable')
  const { operation } = chooseOperation(query, null)
  const variables = readVariables(operation, parameters['variables'] ?? null)
  const [field] = operation.selectionSet.selections
  if (field?.kind !== 'Field') throw malformed('the commit is not readable')
  const argument = (name: string) => argumentOf(field.arguments, name, variables)
  if (argument('skipDeploys') === true) {
    throw new Refused(
      'operation_denied',
      `${quote(COMMIT_STAGED)} with "skipDeploys" cannot be bound to what was judged`,
      COMMIT_STAGED,
      riskOf(COMMIT_STAGED),
    )
  }
  return { key: (field.alias ?? field.name).value, message: argument('commitMessage') ?? null }
}

function argumentOf(
  nodes: readonly ArgumentNode[] | undefined,
  name: string,
  variables: Variables,
): Json | undefined {
  const node = nodes?.find((each) => each.name.value === name)
  return node && resolveValue(node.value, variables)
}
