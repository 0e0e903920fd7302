/** Names by the labels that they end in. */
export interface SuffixTree {
  /** @param suffix with the dot that it begins with */
  add(suffix: string, value: number): void
  /** Gives the values of every suffix that something stands before in a host, however little. */
  find(host: string, found: number[]): void
}

interface Node {
  values: number[] | undefined
  next: Map<string, Node> | undefined
}

/**
 * Makes a tree of the labels of names, from the last one on. To look a host up ends at the first label that no suffix has
 * there, so that a host of thousands of labels costs no more than the longest suffix.
 */
export function createSuffixTree(): SuffixTree {
  const root: Node = { values: undefined, next: undefined }
  return {
    add(suffix, value) {
      let node = root
      for (const label of suffix.slice(1).split('.').reverse()) {
        node.next ??= new Map()
        let next = node.next.get(label)
        if (next === undefined) {
          next = { values: undefined, next: undefined }
          node.next.set(label, next)
        }
        node = next
      }
      if (node.values === undefined) node.values = [value]
      else node.values.push(value)
    },
    find(host, found) {
      let node: Node | undefined = root
      let end = host.length
      // What stands before the suffix is at least a character, and the dot.
      for (let dot = host.lastIndexOf('.'); dot > 0; dot = host.lastIndexOf('.', end - 1)) {
        node = node.next?.get(host.slice(dot + 1, end))
        if (node === undefined) return
        for (const value of node.values ?? []) found.push(value)
        end = dot
      }
    },
  }
}
