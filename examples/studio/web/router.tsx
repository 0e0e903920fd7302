import { createContext, type JSX } from 'preact'
import { useContext, useEffect, useMemo, useState } from 'preact/hooks'

/** Where somebody is, and how to go elsewhere. */
export interface Place {
  readonly path: string
  readonly search: URLSearchParams
  go(to: string, how?: { replace?: boolean }): void
}

const PlaceContext = createContext<Place | undefined>(undefined)
export const PlaceProvider = PlaceContext.Provider

export function usePlace(): Place {
  return useContext(PlaceContext) as Place
}

/** Follows the address of the page. */
export function useAddress(): Place {
  const [address, setAddress] = useState(location.pathname + location.search)
  useEffect(() => {
    const follow = () => setAddress(location.pathname + location.search)
    addEventListener('popstate', follow)
    return () => removeEventListener('popstate', follow)
  }, [])
  return useMemo(() => {
    const { pathname, searchParams } = new URL(address, location.origin)
    return {
      path: pathname,
      search: searchParams,
      go(to, { replace = false } = {}) {
        if (replace) history.replaceState(null, '', to)
        else history.pushState(null, '', to)
        setAddress(to.split('#')[0] as string)
        if (!replace) scrollTo(0, 0)
      },
    }
  }, [address])
}

/** A link within the studio. */
export function Link({ href, ...rest }: JSX.IntrinsicElements['a'] & { href: string }) {
  const { go } = usePlace()
  return (
    <a
      {...rest}
      href={href}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
        event.preventDefault()
        go(href)
      }}
    />
  )
}
