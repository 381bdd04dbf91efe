import type {
  EngineCode,
  EngineRefusal,
  JudgedRequest,
  Refusal,
  RequestName,
  Target,
} from './gate.ts'

const TITLES: Readonly<Record<EngineCode, string>> = {
  request_malformed: 'the request has no single meaning',
  request_too_large: 'the request is too large',
  egress_denied: 'this destination is not open to the task',
  operation_denied: 'the operation is not allowed',
  upstream_failed: 'the upstream could not be reached',
  lease_ended: 'the lease has ended',
}

const NEXT: Readonly<Record<EngineCode, string>> = {
  request_malformed: 'send one plain, well-formed request',
  request_too_large: 'send a smaller request',
  egress_denied: 'use a destination that the template lists, or ask for it to be listed',
  operation_denied: 'try again; if it stays, ask the person who runs the broker',
  upstream_failed: 'try again later',
  lease_ended: 'start a new task: this one is over',
}

/** Thrown where the engine turns a request away; caught in one place and answered. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: EngineCode

  constructor(code: EngineCode, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

export const malformed = (detail: string) => new Refused('request_malformed', detail)

export function engineRefusal(
  { code, message }: Refused,
  about: {
    readonly request?: JudgedRequest | undefined
    readonly target?: Target | undefined
  } = {},
): EngineRefusal {
  return {
    code,
    detail: message,
    next: NEXT[code],
    ...(about.request && { request: nameOf(about.request) }),
    ...(about.target && { target: about.target }),
  }
}

export function nameOf(request: JudgedRequest): RequestName {
  const { id, protocol, route, scheme, host, port, method, path } = request
  return { id, protocol, route, scheme, host, port, method, path }
}

/** The engine's own refusal as the client sees it: the members of the gate's, those it cannot know null. */
export function problem(refusal: EngineRefusal, lease: string): Refusal {
  const status = refusal.code === 'upstream_failed' ? 502 : 403
  const body = {
    type: 'about:blank',
    title: TITLES[refusal.code],
    status,
    detail: refusal.detail,
    code: refusal.code,
    operation: null,
    risk: null,
    environment: null,
    rule: null,
    lease,
    allowed: [],
    next: refusal.next,
  }
  return {
    status,
    fields: [['content-type', 'application/problem+json']],
    body: `${JSON.stringify(body)}\n`,
  }
}
