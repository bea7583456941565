// The page: which section, model and task are shown, by the address behind #.
import {ask, hasKey, part, programs, setKey} from "./api.js"
import {h, link} from "./dom.js"
import {showRuns} from "./runs.js"
import {widgets} from "./widgets.js"

const main = document.getElementById("main"), sections = document.getElementById("sections"), keyBox = document.getElementById("key")
let models = [], runs = [], leave = new AbortController()
const typed = {} // what stands in the fields of each task

const alertOf = text => h("p", {class: "problem", role: "alert"}, text)

async function start() {
  try {
    models = (await ask({path: "v1/models"})).json.data
    runs = (await ask({path: "runs"})).json.runs
    show()
  } catch (e) {
    keyBox.open = e.status === 401
    if (keyBox.open) document.getElementById("key-field").focus()
    const asked = hasKey() ? "The server does not know this API key." : "This server asks for an API key."
    main.replaceChildren(alertOf(keyBox.open ? asked : e.message), h("button", {type: "button", onclick: start}, "Try again"))
  }
}

// named is a part of the address as it was before it was one.
function named(text) {
  try { return decodeURIComponent(text) } catch { return text }
}

// show draws what the address says: #/try/MODEL/TASK or #/runs/RUN.
function show() {
  leave.abort()
  leave = new AbortController()
  const [section, first, second] = location.hash.replace(/^#\/?/, "").split("/").map(named)
  const inRuns = section === "runs" && runs.length > 0
  sections.replaceChildren(link("#/try", "Try", !inRuns), runs.length ? link("#/runs", "Runs", inRuns) : "")
  if (inRuns) {
    const run = runs.find(r => r.name === first) || runs[0]
    document.title = `${run.name} - albert`
    showRuns(main, runs, run, leave.signal)
    return
  }
  const model = models.find(m => m.id === first) || models[0]
  document.title = `${model.id} - albert`
  const tasks = model.tasks.filter(t => widgets[t]), task = tasks.includes(second) ? second : tasks[0]
  const goTo = e => { location.hash = `#/try/${part(e.target.value)}/${task || ""}` }
  const choice = h("select", {id: "model", onchange: goTo}, models.map(m => h("option", {value: m.id, selected: m === model}, m.id)))
  main.replaceChildren(h("div", {class: "bar"},
    h("p", {class: "model"}, models.length > 1 ? [h("label", {for: "model"}, "Model"), choice] : [h("span", {}, "Model"), h("b", {}, model.id)]),
    h("nav", {class: "tasks", "aria-label": "Tasks"}, tasks.map(t => link(`#/try/${part(model.id)}/${t}`, widgets[t].title, t === task)))))
  if (task) main.append(...widget(model.id, task, leave.signal))
  else main.append(h("p", {}, "This model is not loaded yet: a run's model is there when the run has saved its first checkpoint."),
    h("button", {type: "button", onclick: start}, "Try again"))
}

function field(f, values) {
  const id = "field-" + f.name, set = e => { values[f.name] = f.type === "check" ? e.target.checked : e.target.value }
  const label = h("label", {for: id}, f.label)
  if (f.type === "check") return h("p", {class: "check"}, h("input", {type: "checkbox", id, oninput: set, checked: values[f.name]}), label)
  const send = e => {
    if (e.key !== "Enter" || !e.ctrlKey && !e.metaKey) return
    e.preventDefault()
    e.target.form.requestSubmit()
  }
  const control = f.type === "area" ? h("textarea", {id, rows: f.rows, oninput: set, onkeydown: send, value: values[f.name]})
    : h("input", {id, type: "text", oninput: set, value: values[f.name]})
  return h("p", {}, label, control)
}

// widget is a task's form, its answer, and the request as a program.
function widget(model, task, signal) {
  const w = widgets[task], values = typed[task] ||= Object.fromEntries(w.fields.map(f => [f.name, f.value]))
  const answer = h("div", {class: "answer", "aria-live": "polite"}, h("p", {class: "muted"}, "The answer will stand here.")), code = h("div")
  const button = h("button", {type: "submit", class: "primary"}, "Ask")
  let last = 0
  const request = () => w.request(model, values)
  const redraw = () => code.replaceChildren(programOf(request()))
  async function submit(e) {
    e.preventDefault()
    const number = ++last, asked = request(), given = {...values}, began = performance.now()
    answer.setAttribute("aria-busy", "true")
    redraw()
    try {
      const {json, text} = await ask(asked, signal)
      if (number !== last) return
      answer.replaceChildren(...[w.answer(json, given, asked)].flat(Infinity).filter(Boolean),
        h("details", {class: "raw"}, h("summary", {}, "The answer as JSON"),
          h("pre", {tabindex: "0"}, text.length > 20000 ? text.slice(0, 20000) + " ..." : text)),
        h("p", {class: "muted small"}, `${Math.round(performance.now() - began)} ms, with the way to the server and back`))
    } catch (e) {
      if (e.name === "AbortError" || number !== last) return
      answer.replaceChildren(alertOf(e.message))
      if (e.status === 401) keyBox.open = true
    }
    answer.removeAttribute("aria-busy")
  }
  redraw()
  return [h("div", {class: w.wide ? "panes wide" : "panes"},
    h("section", {class: "card", "aria-labelledby": "ask-title"}, h("h2", {id: "ask-title"}, w.title), h("p", {class: "muted"}, w.about),
      h("form", {onsubmit: submit, oninput: redraw}, w.fields.map(f => field(f, values)),
        h("p", {}, button, h("span", {class: "muted small"}, " or Ctrl+Enter")))),
    h("section", {class: "card", "aria-labelledby": "answer-title"}, h("h2", {id: "answer-title"}, "Result"), answer)),
    h("section", {class: "card", "aria-labelledby": "code-title"}, h("h2", {id: "code-title"}, "The same request"), code)]
}

let language = "curl"

function programOf(request) {
  const all = programs(request), pre = h("pre", {tabindex: "0", "aria-label": "The request as " + language}, all[language])
  const said = h("span", {role: "status", class: "muted small"})
  async function copy() {
    try {
      await navigator.clipboard.writeText(all[language])
    } catch { // a page that did not come by HTTPS or from this machine may not
      getSelection().selectAllChildren(pre)
      document.execCommand("copy")
    }
    said.textContent = "Copied."
  }
  function choose(name) {
    language = name
    box.replaceWith(programOf(request))
    document.getElementById("language-" + name).focus()
  }
  const box = h("div", {}, h("div", {class: "row languages", role: "group", "aria-label": "Language"},
    Object.keys(all).map(name =>
      h("button", {type: "button", id: "language-" + name, "aria-pressed": String(name === language), onclick: () => choose(name)}, name)),
    h("button", {type: "button", class: "copy", onclick: copy}, "Copy")), pre, said)
  return box
}

document.getElementById("key-form").addEventListener("submit", e => {
  e.preventDefault()
  setKey(document.getElementById("key-field").value)
  document.getElementById("key-field").value = ""
  keyBox.open = false
  start()
})
addEventListener("hashchange", () => {
  if (location.hash === "#main") main.focus()
  if (location.hash === "#main" || !models.length) return
  const at = document.activeElement.id // what has the focus is drawn anew
  show()
  document.getElementById(at)?.focus()
})
start()
