import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { Transaction } from '../../src/store/transaction.ts'

function begun() {
  const database = new DatabaseSync(':memory:')
  database.exec('create table audit_head (id integer primary key, seq, hash, at, signature)')
  return { database, transaction: new Transaction(database) }
}

const HEAD = { seq: 1, hash: 'h', at: 'now', signature: 's' }

it('a transaction that is rolled back leaves nothing, and the next one can begin', () => {
  const { database, transaction } = begun()
  transaction.begin()
  transaction.saveHead(HEAD)
  transaction.rollBack()
  expect(database.prepare('select count(*) as n from audit_head').get()).toEqual({ n: 0 })
  transaction.begin()
  transaction.saveHead(HEAD)
  transaction.commit()
  expect(database.prepare('select count(*) as n from audit_head').get()).toEqual({ n: 1 })
})

it('rolling back what was not begun, or is over, is nothing', () => {
  const { database, transaction } = begun()
  transaction.rollBack()
  transaction.begin()
  database.exec('rollback')
  transaction.rollBack()
  expect(database.isTransaction).toBe(false)
})
