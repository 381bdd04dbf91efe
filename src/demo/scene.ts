import type { Told } from './agent/told.ts'
import type { Around, Bare, LeftOut } from './bypass/result.ts'
import type { Tried } from './bypass/terms.ts'
import type { DemoResult, With, Without } from './result.ts'

/** What happens on the stage, for whoever shows it. */
export type Scene =
  | { readonly kind: 'opening'; readonly folder: string }
  | { readonly kind: 'act'; readonly act: 1 | 2 | 3; readonly url: string }
  | { readonly kind: 'command'; readonly words: readonly string[] }
  /** What a command said. */
  | { readonly kind: 'said'; readonly text: string }
  | { readonly kind: 'told'; readonly told: Told }
  | { readonly kind: 'without'; readonly without: Without }
  | { readonly kind: 'with'; readonly under: With }
  | { readonly kind: 'left-out'; readonly leftOut: LeftOut }
  | { readonly kind: 'tried'; readonly tried: Tried; readonly level: 'scrub' | 'confine' }
  | { readonly kind: 'bare'; readonly bare: Bare }
  | { readonly kind: 'around'; readonly around: Around }
  | { readonly kind: 'closing'; readonly result: DemoResult }

export type Show = (scene: Scene) => void
