import { formatDuration } from '../lib/duration.ts'

/** `12:45:00` in local time; with its date when that is not today. */
export function clock(iso: string, now: number): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return iso
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')
  return day(at) === day(new Date(now)) ? time : `${day(at)} ${time}`
}

function day(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
}

function two(part: number): string {
  return String(part).padStart(2, '0')
}

/** How long between two instants, for people: whole seconds, never negative. */
export function span(from: number, to: number): string {
  const seconds = Math.floor((to - from) / 1000)
  return seconds > 0 ? formatDuration(seconds * 1000) : '0s'
}

export function age(iso: string, now: number): string {
  return span(Date.parse(iso), now)
}

/** Time to an instant, or `over`. */
export function left(iso: string, now: number): string {
  return Date.parse(iso) <= now ? 'over' : span(now, Date.parse(iso))
}
