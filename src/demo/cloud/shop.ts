import { emptyWorld, Furnisher } from './furnish.ts'
import type { Maker } from './maker.ts'
import type { CloudWorld } from './world.ts'

export type ShopName =
  | 'workspace'
  | 'shop'
  | 'staging'
  | 'production'
  | 'web'
  | 'api'
  | 'pgdata'
  | 'pgdataStaging'
  | 'pgdataProduction'
  | 'cache'
  | 'cacheStaging'
  | 'orders'
  | 'ordersProduction'
  | 'webStaging'
  | 'webProduction'
  | 'apiStaging'
  | 'apiProduction'
  | 'webStagingDeployment'
  | 'webProductionDeployment'
  | 'customDomain'
  | 'billing'
  | 'billingProduction'
  | 'invoices'
  | 'invoicesProduction'
  | 'stagingToken'
  | 'productionToken'

export interface Shop {
  readonly world: CloudWorld
  readonly ids: Readonly<Record<ShopName, string>>
  readonly tokens: {
    readonly account: string
    readonly staging: string
    readonly production: string
  }
}

/**
 * The world of the incident: a shop whose volume `pgdata` serves staging and production alike, with
 * its three backups inside it, and a second project that nobody in staging has any business with.
 */
export function openShop(maker: Maker): Shop {
  const world = emptyWorld(maker)
  const add = new Furnisher(world, maker)
  const account = add.account('Founder', 'founder@shop.example', 'custom-domains')
  const shop = add.project('shop')
  const staging = add.environment(shop, 'staging')
  const production = add.environment(shop, 'production')
  const web = add.service(shop, 'web')
  const api = add.service(shop, 'api')
  const webStaging = add.instance(web, staging)
  const webProduction = add.instance(web, production)
  const apiStaging = add.instance(api, staging)
  const apiProduction = add.instance(api, production)
  const pgdata = add.volume(shop, 'pgdata')
  const pgdataStaging = add.mounted(pgdata, staging, api, '/var/lib/postgresql/data', [])
  const pgdataProduction = add.mounted(pgdata, production, api, '/var/lib/postgresql/data', [
    'daily',
    'weekly',
    'before-migration',
  ])
  const cache = add.volume(shop, 'cache')
  const cacheStaging = add.mounted(cache, staging, web, '/cache', ['daily'])
  const orders = add.volume(shop, 'orders')
  const ordersProduction = add.mounted(orders, production, web, '/orders', [])
  const customDomain = add.domain('custom', web, production, 'shop.example', 8080)
  add.domain('service', web, staging, 'web-staging.up.railway.app', 8080)
  add.domain('service', web, production, 'web-production.up.railway.app', 8080)
  add.domain('tcp', api, production, 'shuttle.proxy.rlwy.net', 15432)
  add.trigger(web, staging, 'shop/web', 'develop')
  add.trigger(web, production, 'shop/web', 'main')
  for (const environment of [staging, production]) {
    const password = `obviously-fake-${environment.name}-password`
    const url = `postgresql://shop:${password}@db.${environment.name}.internal:5432/shop`
    add.variable(environment, api, 'DATABASE_URL', url)
    add.variable(environment, web, 'LOG_LEVEL', 'info')
    add.variable(environment, null, 'REGION', 'eu-west')
  }
  const billing = add.project('billing')
  const billingProduction = add.environment(billing, 'production')
  const invoices = add.service(billing, 'invoices')
  const invoicesProduction = add.instance(invoices, billingProduction)
  add.variable(billingProduction, invoices, 'STRIPE_KEY', 'obviously-fake-billing-key')
  const stagingToken = add.token('ci-staging', staging)
  const productionToken = add.token('ci-production', production)
  const rows = {
    ...{ shop, staging, production, web, api, billing, billingProduction, invoices },
    ...{ webStaging, webProduction, apiStaging, apiProduction, invoicesProduction },
    ...{ pgdata, pgdataStaging, pgdataProduction, cache, cacheStaging, orders, ordersProduction },
    ...{ customDomain, stagingToken, productionToken, workspace: world.workspace },
    webStagingDeployment: add.deploymentOf(webStaging),
    webProductionDeployment: add.deploymentOf(webProduction),
  } satisfies Record<ShopName, { id: string }>
  const ids = Object.fromEntries(Object.entries(rows).map(([name, { id }]) => [name, id]))
  return {
    world,
    ids: ids as Record<ShopName, string>,
    tokens: {
      account: account.token,
      staging: stagingToken.token,
      production: productionToken.token,
    },
  }
}
