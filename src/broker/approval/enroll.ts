import { APPROVAL, RESET_SENTENCE } from '../../core/approval.ts'
import { BrokerError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Context } from '../context.ts'
import { readApprover, SEED, saveApprover } from './approver.ts'
import { type Checkable, checkable, prove } from './prove.ts'
import { SEED_BYTES, seedFrom, seedUri, stepOf } from './totp.ts'

/** What entitles to enrol: nothing where nobody is enrolled, else a code, or the sentence. */
export type Entitlement =
  | { readonly kind: 'none' }
  | { readonly kind: 'code'; readonly code: Secret }
  | { readonly kind: 'reset'; readonly typed: string }

type How = 'first' | 'code' | 'reset'

interface Offer {
  readonly seed: Secret
  readonly how: How
  readonly madeAt: number
  wrong: number
}

/** One enrolment at a time, in memory until a code proves that the app has the seed. */
export class Enrolling {
  readonly #context: Context
  #offer: Offer | null = null

  constructor(context: Context) {
    this.#context = context
  }

  /**
   * Makes a new seed, not in force yet. Throws `denied` when one is enrolled and neither a code of it
   * nor the sentence is given, and as `approve` does for codes. An earlier offer is forgotten.
   */
  async begin(
    entitlement: Entitlement,
    by: string,
  ): Promise<{ readonly uri: Secret; readonly seed: Secret }> {
    const how = await this.#entitled(entitlement, by)
    const seed = seedFrom(this.#context.random(SEED_BYTES))
    this.#offer = { seed, how, madeAt: this.#context.now(), wrong: 0 }
    return { seed, uri: seedUri(seed, `${by}@${this.#context.installId}`) }
  }

  /** Puts the offered seed in force. Throws `conflict` where none is offered, `denied` for a wrong code. */
  async confirm(code: Secret, by: string): Promise<void> {
    const offer = this.#offered()
    const { now, vault, store } = this.#context
    const step = stepOf(offer.seed, code, now())
    if (step === null) throw this.#wrong(offer)
    this.#offer = null // a code confirms once
    try {
      await vault.set(SEED, offer.seed)
    } catch (error) {
      this.#offer ??= offer // a locked vault is opened, and the same request made again
      throw error
    }
    await store.write(async (writer) => {
      const before = await readApprover(writer)
      await saveApprover(writer, { ...before, enrolledAt: now(), usedStep: step })
      const data = { by, how: offer.how, replaced: before.enrolledAt !== null }
      await writer.append({ type: 'approver.enrolled', lease: null, data })
    })
  }

  async #entitled(entitlement: Entitlement, by: string): Promise<How> {
    const { enrolledAt } = await readApprover(this.#context.store.read)
    if (enrolledAt === null) return 'first'
    if (entitlement.kind === 'none') {
      throw new BrokerError('denied', 'an authenticator is enrolled already', {
        hint: 'give one of its codes; if it is lost: broker approve --enroll --reset',
      })
    }
    const reset = entitlement.kind === 'reset'
    // Both through the same lock: a reset is no way round it.
    await this.#prove(
      reset
        ? { kind: 'typed', typed: entitlement.typed }
        : await checkable(this.#context, entitlement),
      by,
    )
    return entitlement.kind
  }

  async #prove(proof: Checkable, by: string): Promise<void> {
    const purpose = {
      lease: null,
      facts: { by, for: proof.kind === 'typed' ? 'reset' : 'enroll' },
      typed: RESET_SENTENCE,
    }
    const refusal = await this.#context.store.write((writer) =>
      prove(this.#context, writer, proof, purpose),
    )
    if (refusal) throw refusal
  }

  #offered(): Offer {
    const offer = this.#offer
    if (offer && this.#context.now() - offer.madeAt < APPROVAL.lapsesMs) return offer
    this.#offer = null
    throw new BrokerError('conflict', 'no enrolment is under way', {
      hint: 'begin again: broker approve --enroll',
    })
  }

  #wrong(offer: Offer): BrokerError {
    offer.wrong++
    if (offer.wrong >= APPROVAL.wrongCodes && this.#offer === offer) this.#offer = null
    return new BrokerError('denied', 'the code is wrong: nothing was enrolled', {
      hint: 'check that the clock of the phone is right, and type the code that the app shows now',
    })
  }
}
