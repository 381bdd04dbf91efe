import type { Classified, RequestFacts, Verdict } from '../../../core/guard.ts'
import { decided, malformed, unknown } from '../../../core/refused.ts'
import { isUpgrade, judgeUpgrade } from './channel.ts'
import { judgeGraphql } from './graphql-request.ts'
import { refuseOverrides, requireJson } from './headers.ts'
import { readJson } from './json.ts'
import { isUpload, judgeUpload } from './upload.ts'

/** Railway's API; the second name is the older one and leads to the same place. */
export const RAILWAY_HOSTS: readonly string[] = ['backboard.railway.com', 'backboard.railway.app']

const GRAPHQL = '/graphql/v2'

/**
 * Turns one request into the operations it would run, the resources they name and the bytes that may
 * be sent for it. Pure: asks nobody, knows no policy. Never throws; what it does not understand is
 * refused. Equal requests give equal verdicts, however they are spelled: aliases, order, white space,
 * fragments and where a value stands make no difference.
 */
export function classify(request: RequestFacts): Verdict {
  return decided(() => {
    refuseOverrides(request)
    if (!RAILWAY_HOSTS.includes(request.authority)) throw unknown('this host')
    if (isUpload(request.path)) return judgeUpload(request)
    // Anything else that answers there (sign-in, token exchange) is for people, not for a lease.
    if (request.path !== GRAPHQL) throw unknown('this path')
    return isUpgrade(request) ? judgeUpgrade(request) : judgePost(request)
  })
}

function judgePost(request: RequestFacts): Classified {
  if (request.method !== 'POST') throw malformed('a document has to be sent with POST')
  // Some servers read parameters from the query as well, and let them win.
  if (request.query !== null) throw malformed('parameters in the query are not accepted')
  requireJson(request)
  if (request.body === null) throw malformed('the request has no body')
  const { operations, needs, parameters } = judgeGraphql(readJson(request.body), false)
  return {
    outcome: 'classified',
    operations,
    needs,
    forward: { kind: 'body', contentType: 'application/json', text: JSON.stringify(parameters) },
  }
}
