/** Made by the build; `PluginScope` is its shape. */
declare module 'virtual:plugin-scope' {
  const scope: unknown
  export default scope
}
