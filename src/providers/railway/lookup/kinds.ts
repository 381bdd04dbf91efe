import { objectAt, textAt } from '../api/answer.ts'
import { field, paged } from '../api/cells.ts'
import {
  below,
  entry,
  type Finder,
  inside,
  listed,
  ofProject,
  perService,
  rootList,
  rootPages,
  single,
} from './finders.ts'
import { backups, endpoints, notificationRules } from './finders-in-steps.ts'

const DOMAINS = 'domains{customDomains{id domain} serviceDomains{id domain}}'
const RUNNING = 'activeDeployments{instances{id}}'

/**
 * The way to every kind of thing that the catalogue's places name and that a project's index does not
 * hold. A kind that is in neither is found by nobody, so it is never the lease's own.
 */
export const KINDS: ReadonlyMap<string, Finder> = new Map<string, Finder>([
  [
    'environment',
    single(
      (id) => `${field('environment', { id })}{id name projectId}`,
      (node) => ({
        name: textAt(node, 'name'),
        environment: textAt(node, 'id'),
        project: textAt(node, 'projectId'),
      }),
    ),
  ],
  [
    'service',
    single(
      (id) => `${field('service', { id })}{id name projectId}`,
      (node) => ({
        name: textAt(node, 'name'),
        environment: null,
        project: textAt(node, 'projectId'),
      }),
    ),
  ],
  [
    'volumeInstance',
    single(
      (id) => `${field('volumeInstance', { id })}{id environmentId volume{name projectId}}`,
      (node) => ({
        name: textAt(objectAt(node, 'volume'), 'name'),
        environment: textAt(node, 'environmentId'),
        project: textAt(objectAt(node, 'volume'), 'projectId'),
      }),
    ),
  ],
  [
    'deployment',
    single(
      (id) => `${field('deployment', { id })}{id environmentId projectId serviceId}`,
      (node, { services }) => ({
        // A deployment has no name; people know it by its service.
        name: services.find(({ of }) => of === textAt(node, 'serviceId'))?.name ?? null,
        environment: textAt(node, 'environmentId'),
        project: textAt(node, 'projectId'),
      }),
    ),
  ],
  [
    'environmentPatch',
    single(
      (id) => `${field('environmentPatch', { id })}{id environmentId environment{projectId}}`,
      (node) => ({
        name: null,
        environment: textAt(node, 'environmentId'),
        project: textAt(objectAt(node, 'environment'), 'projectId'),
      }),
    ),
  ],
  [
    'plugin',
    single(
      (id) => `${field('plugin', { id })}{id friendlyName project{id}}`,
      (node) => ({
        name: textAt(node, 'friendlyName'),
        environment: null,
        project: textAt(objectAt(node, 'project'), 'id'),
      }),
    ),
  ],
  [
    'notificationDelivery',
    single(
      (id) =>
        `${field('notificationDelivery', { id })}{id notificationInstance{environmentId projectId}}`,
      (node) => ({
        name: null,
        environment: textAt(objectAt(node, 'notificationInstance'), 'environmentId'),
        project: textAt(objectAt(node, 'notificationInstance'), 'projectId'),
      }),
    ),
  ],
  [
    'sandboxTemplateBuild',
    single(
      (id, { environment }) =>
        `${field('sandboxTemplateBuild', { environmentId: environment, id })}{id environmentId}`,
      (node, { project }) => ({
        name: null,
        environment: textAt(node, 'environmentId'),
        project: project.id,
      }),
    ),
  ],
  [
    'customDomain',
    listed(below('serviceInstances', DOMAINS), (node) =>
      inside(node, 'domains', 'customDomains').flatMap(entry('domain')),
    ),
  ],
  [
    'serviceDomain',
    listed(below('serviceInstances', DOMAINS), (node) =>
      inside(node, 'domains', 'serviceDomains').flatMap(entry('domain')),
    ),
  ],
  [
    'deploymentInstance',
    listed(below('serviceInstances', `serviceName ${RUNNING}`), (node) =>
      inside(node, 'activeDeployments', 'instances')
        .flatMap(entry('id'))
        .map(({ id }) => ({ id, name: textAt(node, 'serviceName') })),
    ),
  ],
  ['deploymentTrigger', listed(below('deploymentTriggers', 'id repository'), entry('repository'))],
  ['tcpProxy', listed(perService('tcpProxies', 'id domain'), entry('domain'))],
  ['cloudAgent', listed(rootList('cloudAgents', 'id name'), entry('name'))],
  ['sandbox', listed(rootPages('sandboxes', 'id region'), entry('region'))],
  ['sandboxCheckpoint', listed(rootList('sandboxCheckpoints', 'id key'), entry('key'))],
  ['observabilityDashboard', listed(rootPages('observabilityDashboards', 'id'), entry('name'))],
  [
    'privateNetwork',
    listed(rootList('privateNetworks', 'publicId name'), entry('name', 'publicId')),
  ],
  ['privateNetworkEndpoint', endpoints],
  ['volumeInstanceBackup', backups],
  [
    'bucket',
    ofProject((project) => ({
      of: project,
      path: ['buckets'],
      field: (after) =>
        `${field('project', { id: project })}{${field('buckets', { after })}${paged('id name')}}`,
    })),
  ],
  [
    'integration',
    ofProject((project) => ({
      of: project,
      path: [],
      field: (after) =>
        `${field('integrations', { projectId: project, after })}${paged('id name')}`,
    })),
  ],
  [
    'projectToken',
    ofProject((project) => ({
      of: project,
      path: [],
      field: (after) =>
        `${field('projectTokens', { projectId: project, after })}${paged('id name environmentId')}`,
    })),
  ],
  ['notificationRule', notificationRules],
])
