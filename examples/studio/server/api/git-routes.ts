import { GIT_STATE } from '../../shared/review.ts'
import type { GitFollower } from '../git/follow.ts'
import { type Route, route } from './route.ts'

/** The folder in git, where there is one. */
export function gitRoutes(follower: GitFollower | undefined): readonly Route[] {
  return [
    route({
      method: 'get',
      path: '/git',
      summary: 'The state of the folder in git and what is live; 204 where there is no folder',
      role: 'viewer',
      answer: GIT_STATE.nullable(),
      handle: async () => (await follower?.state()) ?? null,
    }),
    ...(follower === undefined ? [] : changingRoutes(follower)),
  ]
}

function changingRoutes(follower: GitFollower): readonly Route[] {
  return [
    route({
      method: 'post',
      path: '/git/sync',
      summary: 'Look for a new commit now, as after git pull',
      role: 'author',
      answer: GIT_STATE,
      async handle() {
        await follower.sync()
        return follower.state()
      },
    }),
    route({
      method: 'post',
      path: '/git/take',
      summary: 'Publish the commit that is checked out, even if it lacks something that is live',
      role: 'publisher',
      answer: GIT_STATE,
      async handle() {
        await follower.take()
        return follower.state()
      },
    }),
  ]
}
