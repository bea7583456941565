// Elements, numbers and colours that all parts of the page share.

const svgNames = new Set(["svg", "g", "path", "line", "circle", "text", "rect"])

// h makes an element: attributes by their names, on... are listeners, style sets properties one by one.
export function h(name, attributes = {}, ...children) {
  const e = svgNames.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value)
    else if (key === "style") for (const [k, v] of Object.entries(value)) e.style.setProperty(k, v)
    else if (key === "value") e.value = value
    else e.setAttribute(key, value === true ? "" : value)
  }
  e.append(...children.flat(Infinity).filter(c => c !== undefined && c !== null && c !== false))
  return e
}

// short writes a number with four digits; the whole number stands in the element's title.
export function short(x) {
  const a = Math.abs(x)
  if (x === 0 || Number.isInteger(x) && a < 1e6) return String(x)
  return a >= 1e6 || a < 1e-3 ? Number(x.toPrecision(3)).toExponential() : a >= 1000 ? String(Math.round(x)) : String(Number(x.toPrecision(4)))
}

export const number = (x, attributes = {}) => h("span", {class: "number", title: String(x), "data-value": String(x), ...attributes}, short(x))

// bars are names with scores. Scores within 0 and 1 are parts of the whole width, others of the largest.
export function bars(list) {
  const whole = list.every(x => x.score >= 0 && x.score <= 1) ? 1 : Math.max(...list.map(x => Math.abs(x.score)))
  return h("ol", {class: "bars"}, list.map(x => h("li", {class: x.chosen && "chosen"},
    h("span", {class: "label"}, x.label, x.chosen && h("span", {class: "pill"}, "chosen"), x.note && h("span", {class: "muted"}, " ", x.note)),
    number(x.score),
    h("span", {class: "track", "aria-hidden": "true"}, h("span", {style: {width: `${100 * Math.max(0, x.score) / (whole || 1)}%`}})))))
}

// link is a link to a place of the page.
export const link = (href, text, here) => h("a", {href, id: href, "aria-current": here && "page"}, text)

// scrolls is a box that scrolls, also by keyboard.
export const scrolls = (label, ...children) => h("div", {class: "scrolls", tabindex: "0", role: "region", "aria-label": label}, children)

export function table(label, head, rows) {
  return scrolls(label, h("table", {}, h("thead", {}, h("tr", {}, head.map(x => h("th", {scope: "col"}, x)))),
    h("tbody", {}, rows.map(row => h("tr", {}, row.map((x, i) => i ? h("td", {}, x) : h("th", {scope: "row"}, x)))))))
}
