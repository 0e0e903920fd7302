const [WIDTH, HEIGHT] = [720, 320]
const AREA = { left: 64, right: 24, top: 48, bottom: 56 }
const INNER = { width: WIDTH - AREA.left - AREA.right, height: HEIGHT - AREA.top - AREA.bottom }

/** Colours that can be told apart on white and on black, and by those who see no red or no green. */
const STYLE = `
  .paper { fill: #ffffff }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .goal { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 5 4 }
  .line { fill: none; stroke-width: 2.5 }
  .whisker { stroke-width: 1.5 }
  .s0 { stroke: #0072b2 } .f0 { fill: #0072b2 }
  .s1 { stroke: #d55e00 } .f1 { fill: #d55e00 }
  .s2 { stroke: #009e73 } .f2 { fill: #009e73 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 }
    text { fill: #f0f6fc }
    .grid { stroke: #3d444d }
    .goal { stroke: #9198a1 }
    .s0 { stroke: #56b4e9 } .f0 { fill: #56b4e9 }
    .s1 { stroke: #f0883e } .f1 { fill: #f0883e }
    .s2 { stroke: #2cc295 } .f2 { fill: #2cc295 }
  }`

const MARKS = [
  (x, y) => `<circle class="f0" cx="${x}" cy="${y}" r="4.5"/>`,
  (x, y) => `<rect class="f1" x="${x - 4}" y="${y - 4}" width="8" height="8"/>`,
  (x, y) => `<path class="f2" d="M${x} ${y - 5.5}l5 9.5h-10z"/>`,
]

const escapeText = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const text = (x, y, content, { anchor = 'middle', name = '' } = {}) =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}"${name && ` class="${name}"`}>${escapeText(content)}</text>`
const round = (value) => Math.round(value * 10) / 10

/** A picture on paper of its own, which follows the viewer's choice of light or dark: the page may have chosen otherwise. */
const createPicture = (title, height, parts) =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeText(title)}">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(AREA.left, 22, title, { anchor: 'start', name: 'title' }),
    ...parts,
    '</svg>',
    '',
  ].join('\n')

/**
 * Draws lines over sizes, as an SVG.
 *
 * @param sizes the places on the axis below, evenly spaced
 * @param range lowest and highest value, and the step of the lines between
 * @param goal a value that is marked
 * @param series lines: `name`, and `points` with `size`, `value` and `error` (half of what the bar over it spans)
 */
export function drawLines({ title, sizes, x_label, range: [low, high, step], goal, series, format = String }) {
  const x = (size) => round(AREA.left + (INNER.width * (sizes.indexOf(size) + 0.5)) / sizes.length)
  const y = (value) =>
    round(AREA.top + INNER.height * (1 - (Math.min(high, Math.max(low, value)) - low) / (high - low)))
  const right = WIDTH - AREA.right
  const parts = []
  for (let value = low; value <= high + step / 2; value += step) {
    parts.push(`<path class="grid" d="M${AREA.left} ${y(value)}H${right}"/>`)
    parts.push(text(AREA.left - 8, y(value) + 4, format(value), { anchor: 'end' }))
  }
  for (const size of sizes) parts.push(text(x(size), HEIGHT - AREA.bottom + 20, size.toLocaleString('en')))
  parts.push(text(AREA.left + INNER.width / 2, HEIGHT - 14, x_label))
  if (goal !== undefined) parts.push(`<path class="goal" d="M${AREA.left} ${y(goal)}H${right}"/>`)
  for (const [index, { name, points }] of series.entries()) {
    // Beside each other, so that bars do not cover bars.
    const shift = (index - (series.length - 1) / 2) * 9
    const at = ({ size }) => round(x(size) + shift)
    const path = points.map((point, nth) => `${nth === 0 ? 'M' : 'L'}${at(point)} ${y(point.value)}`).join('')
    parts.push(`<path class="line s${index}" d="${path}"/>`)
    for (const point of points) {
      const { value, error } = point
      parts.push(`<path class="whisker s${index}" d="M${at(point)} ${y(value - error)}V${y(value + error)}"/>`)
      parts.push(MARKS[index](at(point), y(value)))
    }
    const legend = right - (series.length - index) * 104
    parts.push(MARKS[index](legend, 38), text(legend + 11, 42, name, { anchor: 'start' }))
  }
  return createPicture(title, HEIGHT, parts)
}

/** Draws bars, one below the other, as an SVG: `name`, `value` and what is written at its end (`label`). */
export function drawBars({ title, bars }) {
  const [left, row, top] = [290, 34, 44]
  const longest = Math.max(...bars.map(({ value }) => value))
  const scale = (WIDTH - left - 90) / longest
  const parts = bars.flatMap(({ name, value, label }, index) => {
    const y = top + row * index
    const width = Math.max(round(value * scale), 2)
    return [
      text(left - 10, y + 17, name, { anchor: 'end' }),
      `<rect class="f0" x="${left}" y="${y}" width="${width}" height="${row - 10}"/>`,
      text(left + width + 8, y + 17, label, { anchor: 'start' }),
    ]
  })
  return createPicture(title, top + row * bars.length + 8, parts)
}
