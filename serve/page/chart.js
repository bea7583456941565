// A chart of one number of a run over its steps.
import {h, short} from "./dom.js"

// ticks are about n round numbers from low to high.
function ticks(low, high, n) {
  const rough = (high - low) / n || Math.abs(high) || 1, power = 10 ** Math.floor(Math.log10(rough))
  const step = power * [1, 2, 5, 10].find(m => m * power >= rough), list = []
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + step * 1e-9; x += step) list.push(Number(x.toPrecision(12)))
  return list
}

// thinned keeps the lowest and the highest of the points that fall on the same column of pixels.
function thinned(points, columns) {
  if (points.length <= 3 * columns) return points
  const list = [], size = points.length / columns
  for (let c = 0; c < columns; c++) {
    const some = points.slice(Math.floor(c * size), Math.floor((c + 1) * size))
    let low = some[0], high = some[0]
    for (const p of some) {
      if (p[1] < low[1]) low = p
      if (p[1] > high[1]) high = p
    }
    list.push(...(low[0] <= high[0] ? [low, high] : [high, low]))
  }
  return list
}

// means are those of so many neighbouring points at a time.
function means(points, parts) {
  return Array.from({length: parts}, (_, i) => {
    const some = points.slice(Math.floor(i * points.length / parts), Math.floor((i + 1) * points.length / parts))
    return [0, 1].map(k => some.reduce((s, p) => s + p[k], 0) / some.length)
  })
}

export const manyPoints = 200 // from here on means are drawn over the single steps

const compact = new Intl.NumberFormat("en", {notation: "compact"}), steps = x => x >= 10000 ? compact.format(x) : String(x)

// chart is a figure; its method show draws a curve {name, train, dev}.
export function chart(name) {
  const caption = h("figcaption"), svg = h("svg", {role: "img", tabindex: "0"}), figure = h("figure", {class: "chart", "data-name": name}, caption, svg)
  const title = name.replaceAll("_", " ")
  let curve, at = -1, x0, x1, left, width
  const nearest = (points, step) => points.reduce((best, p) => Math.abs(p[0] - step) < Math.abs(best[0] - step) ? p : best, points[0])
  function reading(points, kind) {
    if (!points.length) return ""
    const value = (at < 0 ? points.at(-1) : nearest(points, at))[1]
    return h("span", {class: kind}, kind === "dev" ? "held out " : "train ", h("b", {"data-last": kind, title: String(value)}, short(value)))
  }

  function say() {
    caption.replaceChildren(h("span", {class: "what"}, title), reading(curve.train, "train"), reading(curve.dev, "dev"),
      at < 0 ? "" : h("span", {}, `step ${at}`))
    const cursor = svg.querySelector(".cursor")
    if (cursor) {
      cursor.style.display = at < 0 ? "none" : ""
      const x = left + (at - x0) / (x1 - x0 || 1) * width
      cursor.setAttribute("x1", x)
      cursor.setAttribute("x2", x)
    }
  }

  // move puts the cursor to the step nearest to where the pointer is, or a number of rows on.
  function move(step) { at = nearest(curve.train.length ? curve.train : curve.dev, step)[0]; say() }
  svg.addEventListener("pointermove", e => move(x0 + (e.offsetX - left) / width * (x1 - x0)))
  svg.addEventListener("pointerleave", () => { at = -1; say() })
  svg.addEventListener("blur", () => { at = -1; say() })
  svg.addEventListener("keydown", e => {
    const by = {ArrowLeft: -1, ArrowRight: 1}[e.key], points = curve.train.length ? curve.train : curve.dev
    if (!by) return
    e.preventDefault()
    const i = at < 0 ? points.length - 1 : points.findIndex(p => p[0] === at) + by * Math.max(1, Math.round(points.length / 50))
    at = points[Math.max(0, Math.min(points.length - 1, i))][0]
    say()
  })

  figure.show = c => {
    curve = c
    const all = [...c.train, ...c.dev], values = all.map(p => p[1]), ends = [c.train[0], c.dev[0], c.train.at(-1), c.dev.at(-1)].filter(Boolean)
    const full = Math.max(200, Math.floor(svg.getBoundingClientRect().width) || 300), height = 150
    let low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b))
    if (low === high) { low -= Math.abs(low) / 10 || 0.5; high += Math.abs(high) / 10 || 0.5 }
    const ys = ticks(low, high, 5), labels = ys.map(y => Math.abs(y) >= 10000 ? compact.format(y) : short(y))
    left = 10 + 6.6 * Math.max(...labels.map(l => l.length))
    width = full - left - 8
    x0 = Math.min(...ends.map(p => p[0]))
    x1 = Math.max(...ends.map(p => p[0]))
    const px = x => left + (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5) * width, py = y => 8 + (high - y) / (high - low) * (height - 32)
    const path = points => "M" + thinned(points, Math.floor(width)).map(p => `${px(p[0]).toFixed(1)} ${py(p[1]).toFixed(1)}`).join("L")
    const dot = (p, kind) => h("circle", {class: kind, cx: px(p[0]), cy: py(p[1]), r: kind === "dev" ? 3 : 2})
    const dots = (points, kind) => points.length <= 40 ? points.map(p => dot(p, kind)) : []
    const from = short(all[0][1]), to = short((c.train.at(-1) || c.dev.at(-1))[1])
    svg.setAttribute("viewBox", `0 0 ${full} ${height}`)
    svg.setAttribute("aria-label", `${title}, steps ${x0} to ${x1}: from ${from} to ${to}; the arrow keys read single steps`)
    svg.replaceChildren(
      ...ys.map(y => h("line", {class: "grid", x1: left, x2: full - 8, y1: py(y), y2: py(y)})),
      ...ys.map((y, i) => h("text", {x: left - 6, y: py(y) + 4, class: "y"}, labels[i])),
      ...ticks(x0, x1, 4).filter(Number.isInteger).map(x => h("text", {x: px(x), y: height - 6, class: "x"}, steps(x))),
      ...(c.train.length >= manyPoints ? [h("path", {class: "faint", d: path(c.train)})] : []),
      ...(c.train.length ? [h("path", {class: "train", d: path(c.train.length < manyPoints ? c.train : means(c.train, manyPoints / 4))})] : []),
      ...(c.dev.length ? [] : dots(c.train, "train")),
      ...(c.dev.length ? [h("path", {class: "dev", d: path(c.dev)}), ...dots(c.dev, "dev")] : []),
      h("line", {class: "cursor", y1: 8, y2: height - 24}))
    say()
  }
  return figure
}
