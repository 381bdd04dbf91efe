import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { type MaskWatch, watchMasks } from '../../src/launch/isolate/watch.ts'
import { until } from './until.ts'

const folder = mkdtempSync(join(tmpdir(), 'isolation-watch-'))
let watch: MaskWatch | undefined
afterEach(() => watch?.close())
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('knows a file that took both the name and the number of the old one', async () => {
  // Some file systems give the number to the next file, some never do: those have nothing to show here.
  for (let attempt = 0; attempt < 20; attempt++) {
    const path = join(folder, `.env.${attempt}`)
    writeFileSync(path, 'old')
    const lost: string[] = []
    const before = statSync(path).ino
    watch = watchMasks([path], (file) => lost.push(file), folder)
    rmSync(path)
    writeFileSync(path, 'new')
    await until('the loss is told', () => lost.length > 0)
    expect(lost).toEqual([path])
    if (statSync(path).ino === before) break
  }
})

it('knows a file in a new folder of the old name, however long after the folder it comes', async () => {
  const place = join(folder, 'a', 'b')
  const path = join(place, '.env')
  mkdirSync(place, { recursive: true })
  writeFileSync(path, 'old')
  const lost: string[] = []
  watch = watchMasks([path], (file) => lost.push(file), folder)
  const settled = () => new Promise((resolve) => setTimeout(resolve, 100))
  renameSync(join(folder, 'a'), join(folder, 'aside'))
  await settled()
  mkdirSync(join(folder, 'a'))
  await settled()
  mkdirSync(place)
  await settled()
  expect(lost).toEqual([])
  writeFileSync(path, 'new')
  await until('the loss is told', () => lost.length > 0)
  expect(lost).toEqual([path])
})

it('says nothing of a file that is only gone, or written in place', async () => {
  const path = join(folder, '.env')
  writeFileSync(path, 'old')
  const lost: string[] = []
  watch = watchMasks([path], (file) => lost.push(file), folder)
  writeFileSync(path, 'new')
  rmSync(path)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(lost).toEqual([])
})
