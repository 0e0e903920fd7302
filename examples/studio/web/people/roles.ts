import { PERSON_ROLES } from '../../shared/roles.ts'

const MAY = {
  viewer: 'viewer: may look',
  author: 'author: may write the draft, and try it',
  publisher: 'publisher: may publish, switch off and invite',
} as const

/** Roles, and what somebody with each may do. */
export const ROLE_OPTIONS = PERSON_ROLES.map((role) => [role, MAY[role]] as const)
