export const DOMAINS = `
type AllDomains { customDomains: [CustomDomain!]! serviceDomains: [ServiceDomain!]! }
enum DNSRecordType {
  DNS_RECORD_TYPE_A DNS_RECORD_TYPE_CNAME DNS_RECORD_TYPE_NS DNS_RECORD_TYPE_TXT
  DNS_RECORD_TYPE_UNSPECIFIED UNRECOGNIZED
}
enum DNSRecordStatus {
  DNS_RECORD_STATUS_PROPAGATED DNS_RECORD_STATUS_REQUIRES_UPDATE DNS_RECORD_STATUS_UNSPECIFIED
  UNRECOGNIZED
}
enum DNSRecordPurpose {
  DNS_RECORD_PURPOSE_ACME_DNS01_CHALLENGE DNS_RECORD_PURPOSE_TRAFFIC_ROUTE
  DNS_RECORD_PURPOSE_UNSPECIFIED UNRECOGNIZED
}
type DNSRecords {
  fqdn: String!
  hostlabel: String!
  requiredValue: String!
  currentValue: String!
  purpose: DNSRecordPurpose!
  recordType: DNSRecordType!
  status: DNSRecordStatus!
  zone: String!
}
enum CDNProvider {
  DETECTED_CDN_PROVIDER_CLOUDFLARE DETECTED_CDN_PROVIDER_UNSPECIFIED UNRECOGNIZED
}
enum CertificateStatus {
  CERTIFICATE_STATUS_TYPE_ISSUE_FAILED CERTIFICATE_STATUS_TYPE_ISSUING
  CERTIFICATE_STATUS_TYPE_UNSPECIFIED CERTIFICATE_STATUS_TYPE_VALID
  CERTIFICATE_STATUS_TYPE_VALIDATING_OWNERSHIP UNRECOGNIZED
}
enum CertificateStatusDetailed {
  CERTIFICATE_STATUS_TYPE_DETAILED_CLEANING_UP CERTIFICATE_STATUS_TYPE_DETAILED_COMPLETE
  CERTIFICATE_STATUS_TYPE_DETAILED_CREATING_ORDER
  CERTIFICATE_STATUS_TYPE_DETAILED_DOWNLOADING_CERTIFICATE CERTIFICATE_STATUS_TYPE_DETAILED_FAILED
  CERTIFICATE_STATUS_TYPE_DETAILED_FETCHING_AUTHORIZATIONS
  CERTIFICATE_STATUS_TYPE_DETAILED_FINALIZING_ORDER
  CERTIFICATE_STATUS_TYPE_DETAILED_GENERATING_KEYS
  CERTIFICATE_STATUS_TYPE_DETAILED_INITIATING_CHALLENGES
  CERTIFICATE_STATUS_TYPE_DETAILED_POLLING_AUTHORIZATIONS
  CERTIFICATE_STATUS_TYPE_DETAILED_PRESENTING_CHALLENGES
  CERTIFICATE_STATUS_TYPE_DETAILED_UNSPECIFIED UNRECOGNIZED
}
enum CertificateErrorType {
  CERTIFICATE_ERROR_TYPE_AUTHORIZATION_FAILED CERTIFICATE_ERROR_TYPE_DNS_VALIDATION
  CERTIFICATE_ERROR_TYPE_INTERNAL CERTIFICATE_ERROR_TYPE_KEY_GENERATION
  CERTIFICATE_ERROR_TYPE_ORDER_CREATION CERTIFICATE_ERROR_TYPE_RATE_LIMIT
  CERTIFICATE_ERROR_TYPE_UNSPECIFIED UNRECOGNIZED
}
enum KeyType {
  KEY_TYPE_ECDSA KEY_TYPE_RSA_2048 KEY_TYPE_RSA_4096 KEY_TYPE_UNSPECIFIED UNRECOGNIZED
}
type CertificatePublicData {
  domainNames: [String!]!
  expiresAt: DateTime
  fingerprintSha256: String!
  issuedAt: DateTime
  keyType: KeyType!
}
type CustomDomainStatus {
  cdnProvider: CDNProvider
  certificateErrorMessage: String
  certificateErrorType: CertificateErrorType
  certificateRetryable: Boolean
  certificateStatus: CertificateStatus!
  certificateStatusDetailed: CertificateStatusDetailed
  certificates: [CertificatePublicData!]
  dnsRecords: [DNSRecords!]!
  verificationDnsHost: String
  verificationToken: String
  verified: Boolean!
}
enum CustomDomainSyncStatus { ACTIVE CREATING DELETED DELETING UNSPECIFIED UPDATING }
type CustomDomain {
  id: ID!
  domain: String!
  status: CustomDomainStatus!
  syncStatus: CustomDomainSyncStatus!
  environmentId: String!
  projectId: String
  serviceId: String!
  targetPort: Int
  createdAt: DateTime
  updatedAt: DateTime
}
enum ServiceDomainSyncStatus { ACTIVE CREATING DELETED DELETING UNSPECIFIED UPDATING }
type ServiceDomain {
  id: ID!
  domain: String!
  suffix: String
  syncStatus: ServiceDomainSyncStatus!
  environmentId: String!
  projectId: String
  serviceId: String!
  targetPort: Int
  createdAt: DateTime
  updatedAt: DateTime
}
type TCPProxy {
  id: ID!
  domain: String!
  applicationPort: Int!
  proxyPort: Int!
  environmentId: String!
  serviceId: String!
  createdAt: DateTime
  updatedAt: DateTime
}
input ServiceDomainCreateInput { environmentId: String! serviceId: String! targetPort: Int }
`
