// Vectors side by side: cosines, computed as the server's /similarity computes them, and a map of two axes.
import {h, scrolls, short} from "./dom.js"

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0)

export function cosine(a, b) {
  const lengths = Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b))
  return lengths === 0 ? 0 : Math.fround(dot(a, b) / lengths)
}

// component is the eigenvector of a symmetric matrix with the largest eigenvalue, by repeated multiplication from a fixed start.
function component(matrix) {
  let v = matrix.map((_, i) => Math.cos(1 + i)), value = 0
  for (let round = 0; round < 500; round++) {
    const w = matrix.map(row => dot(row, v)), length = Math.sqrt(dot(w, w))
    if (length < 1e-12) return {v, value: 0}
    const next = w.map(x => x / length), moved = Math.abs(1 - Math.abs(dot(next, v)))
    v = next
    value = length
    if (round > 10 && moved < 1e-14) break
  }
  return {v, value}
}

// principal gives each vector's place on the two axes along which the vectors differ most, and the part of the variance that they hold.
export function principal(vectors) {
  const n = vectors.length, mean = vectors[0].map((_, k) => vectors.reduce((s, v) => s + v[k], 0) / n)
  const centred = vectors.map(v => v.map((x, k) => x - mean[k]))
  const gram = centred.map(a => centred.map(b => dot(a, b))), total = gram.reduce((s, row, i) => s + row[i], 0)
  const axes = []
  for (let axis = 0; axis < 2; axis++) {
    const {v, value} = component(gram)
    axes.push({v, value})
    gram.forEach((row, i) => row.forEach((_, j) => { row[j] -= value * v[i] * v[j] }))
  }
  return {points: vectors.map((_, i) => axes.map(a => a.v[i] * Math.sqrt(a.value))), share: total > 0 ? (axes[0].value + axes[1].value) / total : 1}
}

export function heatMap(texts, vectors) {
  const all = vectors.map(a => vectors.map(b => cosine(a, b)))
  const others = all.flatMap((row, i) => row.filter((_, j) => i !== j)), low = Math.min(...others, 1), high = Math.max(...others, low)
  const share = x => high > low ? Math.max(0, Math.min(1, (x - low) / (high - low))) : 1
  const digits = high - low < 0.1 ? 3 : 2
  const cell = (x, i, j) => h("td", {title: `${i + 1} and ${j + 1}: ${x}`, "data-value": String(x), style: {"--heat": `${Math.round(100 * share(x))}%`}},
    x.toFixed(digits))
  return h("figure", {},
    h("figcaption", {}, "Cosine of every two lines. The stronger the colour, the more alike",
      others.length ? `; two different lines: ${short(low)} to ${short(high)}` : "", "."),
    scrolls("Cosines", h("table", {class: "heat"},
      h("thead", {}, h("tr", {}, h("td"), texts.map((t, j) => h("th", {scope: "col", title: t}, j + 1)))),
      h("tbody", {}, all.map((row, i) => h("tr", {}, h("th", {scope: "row", title: texts[i]}, i + 1), row.map((x, j) => cell(x, i, j))))))))
}

export function map(texts, vectors) {
  const {points, share} = principal(vectors), width = 320, height = 240, edge = 24
  const spans = [0, 1].map(axis => points.map(p => p[axis])).map(list => [Math.min(...list), Math.max(...list)]), room = [width, height]
  const scale = Math.max(...spans.map(([from, to], a) => (to - from) / (room[a] - 2 * edge))) || 1 // the same for both axes
  const place = (p, a) => room[a] / 2 + (a ? -1 : 1) * (p[a] - (spans[a][0] + spans[a][1]) / 2) / scale
  return h("figure", {},
    h("figcaption", {}, "The lines on the two axes along which they differ most (PCA), ",
      `which hold ${Math.round(100 * share)} % of the variance. Near is alike.`),
    h("svg", {class: "map", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Map of ${texts.length} lines`}, points.map((p, i) =>
      h("g", {}, h("circle", {cx: place(p, 0), cy: place(p, 1), r: 11}), h("text", {x: place(p, 0), y: place(p, 1) + 4}, i + 1)))))
}
