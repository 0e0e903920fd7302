import { PERSON_ROLES } from '../../shared/roles.ts'

const MAY = {
  viewer: 'viewer: can view',
  author: 'author: can edit and propose changes, and try them',
  publisher: 'publisher: can publish, switch off and invite',
} as const

/** Roles, and what somebody with each may do. */
export const ROLE_OPTIONS = PERSON_ROLES.map((role) => [role, MAY[role]] as const)
