/** What somebody may do: each role may do what those before it may. */
export const PERSON_ROLES = ['viewer', 'author', 'publisher'] as const
export type PersonRole = (typeof PERSON_ROLES)[number]

/** Of a program as well; a `reporter` is no person, but an instance. */
export const ROLES = ['reporter', ...PERSON_ROLES] as const
export type Role = (typeof ROLES)[number]
