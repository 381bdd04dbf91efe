import type { Context } from '../../broker/context.ts'
import { delivered } from '../../broker/exchange/deliver.ts'
import { type ExchangeAnswer, exchangeToken } from '../../broker/exchange/exchange.ts'
import { Withheld } from '../../broker/withheld.ts'
import { isBrokerError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { Form } from '../form.ts'
import type { Server } from '../server.ts'
import type { Admission } from './admission.ts'
import { readExchange, TOKEN_TYPE } from './exchange-form.ts'
import { answerOauth, noStore } from './oauth-errors.ts'
import { noteLease } from './request-log.ts'

export interface ExchangeTerms {
  readonly admission: Admission
  readonly formBytes: number
  /** Told of each exchange: `done`, or the code that it was refused with; and the true reason. */
  readonly onOutcome: (outcome: string, reason: string) => void
}

/** `POST /oauth/token`: RFC 8693, for identity tokens of CI systems. */
export function addExchangeRoute(server: Server, context: Context, terms: ExchangeTerms): void {
  const { admission, onOutcome } = terms
  server.add(
    'exchange',
    async ({ request, reply }) => {
      const key = request.headers['idempotency-key']
      const { subjectToken, request: asked } = readExchange(
        Form.of(request.body),
        key,
        context.audience,
      )
      const caller = await admission.subject(context, subjectToken, request.ip)
      const answer = await exchangeToken(context, caller, subjectToken, asked).catch(
        (error: unknown) => {
          throw admission.refusalOf(request.ip, error)
        },
      )
      noStore(reply)
      noteLease(request, answer.lease)
      // Whoever got one credential has it; a lease's holder says so itself.
      if (answer.kind === 'bearer') {
        reply.raw.once('finish', () => delivered(context, answer.lease))
      }
      onOutcome('done', answer.repeated ? 'repeated' : 'issued')
      return body(answer, asked.wanted === 'jwt', context.now())
    },
    {
      bodyLimit: terms.formBytes,
      answerError: (error, reply) => {
        const { error: told } = answerOauth(error, reply, context.log)
        onOutcome(isBrokerError(error) ? error.code : told, reasonOf(error))
      },
    },
  )
}

/** One of our own words, where one was withheld from whoever asked. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: unknown }
  return cause instanceof Withheld && /^[a-z_]{1,40}$/.test(cause.reason) ? cause.reason : 'none'
}

/** RFC 8693 §2.2.1, RFC 9396 §7. */
function body(answer: ExchangeAnswer, asJwt: boolean, now: number): JsonObject {
  const bearer = answer.kind === 'bearer'
  const type = asJwt ? TOKEN_TYPE.jwt : TOKEN_TYPE.accessToken
  return {
    access_token: answer.token.reveal(),
    issued_token_type: bearer ? type : TOKEN_TYPE.lease,
    token_type: bearer ? 'Bearer' : 'N_A',
    expires_in: Math.max(0, Math.floor((answer.expiresAt - now) / 1000)),
    scope: `template:${answer.template}`,
    authorization_details: answer.details.map((one) => ({ ...one, actions: [...one.actions] })),
    lease_id: answer.lease,
  }
}
