import type { IncomingHttpHeaders } from 'node:http'
import { constantTimeEqual } from '../../lib/equal.ts'
import type { AccountRow, ApiTokenRow, CloudWorld, ProjectTokenRow } from './world.ts'

/** Whose credential came with a request. `who` names it for the record, without its secret. */
export type Caller =
  | {
      readonly kind: 'account'
      readonly who: string
      readonly token: ApiTokenRow
      readonly account: AccountRow
    }
  | { readonly kind: 'project'; readonly who: string; readonly token: ProjectTokenRow }

/**
 * `Authorization: Bearer` for accounts, `Project-Access-Token` for one environment. What Railway does
 * when both stand there is not documented; here the one that may do more wins, so that a proxy
 * that lets a found key through beside its own is caught.
 */
export function callerOf(world: CloudWorld, headers: IncomingHttpHeaders): Caller | null {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const api = bearer && world.apiTokens.find(({ token }) => constantTimeEqual(token, bearer))
  const account = api && world.accounts.find(({ id }) => id === api.accountId)
  if (account) return { kind: 'account', who: `account token ${api.name}`, token: api, account }
  const sent = headers['project-access-token']
  if (typeof sent !== 'string') return null
  const token = world.projectTokens.find((each) => constantTimeEqual(each.token, sent))
  return token ? { kind: 'project', who: `project token ${token.name}`, token } : null
}
