// Runs of training: their curves while they are written, settings, examples and card.
import {ask, part} from "./api.js"
import {chart, manyPoints} from "./chart.js"
import {h, link, number, table} from "./dom.js"

const every = 2000 // milliseconds between looks at a run that is under way
const hidden = new Set(["step", "tokens", "max_seq_length", "examples", "total"])
const order = ["loss", "mlm_loss", "sop_loss", "accuracy", "mlm_accuracy", "sop_accuracy"], last = ["learning_rate", "tokens_per_second", "grad_norm"]

// curvesOf are the numbers of the log by their names, each with its points in training and on held-out data.
function curvesOf(rows) {
  const curves = new Map()
  for (const row of rows) {
    if (typeof row.step !== "number") continue
    for (const [name, value] of Object.entries(row)) {
      if (typeof value !== "number" || hidden.has(name) || name.endsWith("_count")) continue
      if (!curves.has(name)) curves.set(name, {name, train: [], dev: []})
      const points = curves.get(name)[row.split ? "dev" : "train"]
      if (points.length && points.at(-1)[0] >= row.step) points.length = points.findIndex(p => p[0] >= row.step) // it went on from a checkpoint
      points.push([row.step, value])
    }
  }
  const rank = c => order.includes(c.name) ? order.indexOf(c.name) : last.includes(c.name) ? 200 + last.indexOf(c.name) : 100
  return [...curves.values()].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
}

export function showRuns(main, runs, run, signal) {
  const base = `runs/${part(run.name)}`, rows = []
  let next = 0, info = {manifest: null}, drawn = ""
  const status = h("p", {class: "muted", role: "status"}), progress = h("progress", {"aria-label": "Steps done"}), charts = h("div", {class: "charts"})
  const note = h("p", {class: "muted small"}, "The pale line is every step, the strong one the mean of neighbouring steps.")
  const settings = h("div"), skipped = h("div"), examples = examplesOf(base, () => info.manifest?.settings?.objective, signal)
  const links = runs.map(r => link(`#/runs/${part(r.name)}`, r.name, r.name === run.name))
  main.replaceChildren(h("div", {class: "bar"}, h("nav", {class: "tasks", "aria-label": "Runs"}, links)),
    h("section", {class: "card", "aria-labelledby": "run-title"}, h("h2", {id: "run-title"}, run.name), progress, status, charts, note),
    fold("Settings", settings), fold("Examples of a step", examples, skipped), cardOf(base, signal))

  // read takes the rows that are new since the last time.
  async function read() {
    for (let more = true; more && !signal.aborted;) {
      const {json} = await ask({path: `${base}/log?offset=${next}`}, signal)
      if (json.from !== next) rows.length = 0 // the log begins anew
      rows.push(...json.rows)
      next = json.next
      more = json.more
    }
  }

  function draw() {
    const manifest = info.manifest || {}, asked = manifest.settings || {}, of = asked.steps > 0 ? asked.steps : 0
    const whole = x => Math.round(x).toLocaleString("en")
    const done = rows.findLast(r => typeof r.step === "number")?.step || 0, speed = rows.findLast(r => r.tokens_per_second)
    progress.hidden = !of
    progress.max = of || 1
    progress.value = manifest.finished ? progress.max : done
    status.textContent = [manifest.finished ? "Finished" : done ? "Not finished" : "No step is in the log yet",
      done && `step ${whole(done)}` + (of && ` of ${whole(of)}`), manifest.stopped_early && `stopped early: ${manifest.stopped_early}`,
      speed && `${whole(speed.tokens_per_second)} tokens a second`].filter(Boolean).join(" · ")
    const curves = curvesOf(rows)
    if (charts.querySelectorAll("figure").length !== curves.length) charts.replaceChildren(...curves.map(c => chart(c.name)))
    curves.forEach((c, i) => charts.children[i].show(c))
    note.hidden = rows.length < manyPoints
    const bad = rows.filter(r => r.skipped), now = JSON.stringify([asked, bad.length])
    if (now === drawn) return
    drawn = now
    const values = flat(asked).map(([k, v]) => [k, v === "" ? "-" : String(v)])
    settings.replaceChildren(values.length ? table("Settings", ["Setting", "Value"], values) : h("p", {class: "muted"}, "The run has no manifest yet."))
    examples.hidden = !asked.objective
    skipped.replaceChildren(h("h3", {}, "Steps that were skipped"), h("p", {class: "muted"}, "Their loss or gradient was not finite."),
      table("Skipped steps", ["Step", "Examples"], bad.slice(0, 100).map(r => [String(r.step), (r.examples || []).join(", ")])))
    if (!bad.length) skipped.replaceChildren(asked.objective ? "" : h("p", {class: "muted"}, "Only pretraining's steps can be shown. None was skipped."))
  }

  async function watch() {
    for (let failed = false, looks = 0; !signal.aborted; looks++) {
      try {
        if (!document.hidden) {
          if (looks % 5 === 0) info = (await ask({path: base}, signal)).json
          await read()
          draw()
          failed = false
          if (info.manifest?.finished) break
        }
      } catch (e) {
        if (e.name === "AbortError") return
        failed = true
        status.textContent = e.message
      }
      await new Promise(done => setTimeout(done, failed ? 5 * every : every))
    }
  }
  addEventListener("resize", () => { if (rows.length) draw() }, {signal})
  watch()
}

// flat lists settings, those of the model's configuration by name.config.
const flat = (settings, before = "") => Object.entries(settings).flatMap(([k, v]) =>
  v && typeof v === "object" && !Array.isArray(v) ? flat(v, before + k + ".") : [[before + k, Array.isArray(v) ? v.join(", ") : v]])

const fold = (title, ...children) => h("details", {class: "card"}, h("summary", {}, h("h2", {}, title)), children)

function problem(box, e) { if (e.name !== "AbortError") box.replaceChildren(h("p", {class: "problem", role: "alert"}, e.message)) }

// pieceOf is a piece as the model sees it, or the masked one that was there.
function pieceOf(seen, was) {
  const [, space, text] = /^(▁?)(.*)$/su.exec(was ?? seen)
  if (was === undefined) return /^\[.*\]$/.test(seen) ? h("span", {class: "muted"}, ` ${seen} `) : (space && " ") + text
  const instead = seen !== "[MASK]" && h("span", {class: "tag"}, seen.replace(/^▁/, "") || "\u00a0")
  return [space && " ", h("mark", {class: instead ? "hue1" : "hue0"}, text || "\u00a0", instead)]
}

function examplesOf(base, objective, signal) {
  const box = h("div", {"aria-live": "polite"}), step = h("input", {id: "step", type: "number", min: "1", value: "1"})
  async function show(e) {
    e.preventDefault()
    try {
      const {json} = await ask({path: `${base}/examples?step=${Number(step.value) || 1}`}, signal)
      box.replaceChildren(h("p", {class: "muted"}, `The first ${json.examples.length} of ${json.batch}. Marked pieces are to be found again: `,
        "the model sees [MASK] in their place, or the piece in small letters."), ...json.examples.map(x => {
        const was = new Map(x.masked.map(m => [m.position, m.piece]))
        const order = ["in order", objective() === "nsp" ? "second segment is random" : "second segment first"][x.sop_label]
        return h("div", {class: "example"}, h("h3", {}, `Example ${x.example}`, order && h("span", {class: "pill"}, order)),
          h("p", {class: "marked"}, x.pieces.map((p, i) => pieceOf(p, was.get(i)))))
      }))
    } catch (e) { problem(box, e) }
  }
  return h("div", {}, h("form", {onsubmit: show}, h("div", {}, h("label", {for: "step"}, "Step"),
    h("div", {class: "row"}, step, h("button", {type: "submit"}, "Show")))), box)
}

function cardOf(base, signal) {
  const box = h("div", {"aria-live": "polite"}), card = fold("Reproducibility card", h("p", {class: "muted"}, "What the files of the run prove."), box)
  card.addEventListener("toggle", async () => {
    if (!card.open) return
    try {
      const {json} = await ask({path: `${base}/card`}, signal)
      const evidence = e => e.evidence.length < 100 ? h("span", {class: "evidence"}, e.evidence)
        : h("details", {class: "evidence"}, h("summary", {}, e.facts?.length > 1 ? `${e.facts.length} facts` : "What is known"), e.evidence)
      box.replaceChildren(table("Variables", ["Variable", "Result", "Evidence"], json.variables.map(e => [e.name, e.result, evidence(e)])),
        json.results ? table("Results", ["Metric", "Mean", "Runs"], json.results.map(s => [s.metric, number(s.mean), String(s.n)])) : "",
        table("Checklists", ["Item", "Question", "Result", "Evidence"],
          json.checklist.map(e => [`${e.checklist} ${e.item}`, e.name, e.result, evidence(e)])))
    } catch (e) { problem(box, e) }
  })
  return card
}
