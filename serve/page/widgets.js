// What a model can be asked: fields, the request that is made of them, and the form of its answer.
import {part} from "./api.js"
import {bars, h, number, table} from "./dom.js"
import {heatMap, map} from "./vectors.js"

const lines = text => text.split("\n").map(x => x.trim()).filter(Boolean)
const routeOf = (model, verb, query = "") => `models/${part(model)}/${verb}${query}`

// marked is a text with spans of it: places are in characters (code points), as the server counts.
function marked(text, spans) {
  const letters = Array.from(text), parts = []
  let at = 0
  for (const s of [...spans].sort((a, b) => a.start - b.start)) {
    if (s.start < at || s.end <= s.start) continue
    parts.push(letters.slice(at, s.start).join(""), h("mark", {class: s.class, title: String(s.score)}, letters.slice(s.start, s.end).join(""),
      s.label && h("span", {class: "tag"}, s.label)))
    at = s.end
  }
  return h("p", {class: "marked"}, parts, letters.slice(at).join(""))
}

const area = (name, label, value, rows = 3) => ({name, label, value, rows, type: "area"})
const line = (name, label, value) => ({name, label, value, type: "line"})

export const widgets = {
  "fill": {
    title: "Fill", about: "What may stand in the place of each [MASK].",
    fields: [area("text", "Text with [MASK]", "The door of the house is [MASK].")],
    request: (m, v) => ({path: routeOf(m, "fill", "?top_k=6"), body: {text: v.text}}),
    answer(a) {
      const masks = Array.isArray(a[0]) ? a : [a]
      const one = masks.length === 1, bar = x => ({label: x.token_str.replace(/^▁/, "") || x.token_str, note: one && x.sequence, score: x.score})
      return masks.map((list, i) => [!one && h("h4", {}, `Mask ${i + 1}`), bars(list.map(bar))])
    },
  },
  "classify": {
    title: "Classify", about: "The label of a text, or of two.",
    fields: [area("text", "Text", "The room was bright and quiet, and the view was lovely."),
      area("pair", "Second text, if the model takes two", "", 2)],
    request: (m, v) => ({path: routeOf(m, "classify", "?all=true"), body: v.pair.trim() ? {text: v.text, text_pair: v.pair} : {text: v.text}}),
    answer: a => a.labels ? bars(a.labels) : h("p", {class: "large"}, [a.score].flat().map(x => number(x))),
  },
  "tag": {
    title: "Tag", about: "Spans of a text with their labels.",
    fields: [area("text", "Text", "Anna Berg moved from Oslo to the coast of Norway in May.")],
    request: (m, v) => ({path: routeOf(m, "tag", "?aggregate=true"), body: {text: v.text}}),
    answer(a, v) {
      const labels = [...new Set(a.map(x => x.entity))].sort()
      if (a.length === 0) return [marked(v.text, []), h("p", {class: "muted"}, "The model labels nothing in it.")]
      return [marked(v.text, a.map(x => ({...x, label: x.entity, class: "hue" + labels.indexOf(x.entity) % 6}))),
        table("Spans", ["Span", "Label", "Score"], a.map(x => [x.word || "-", x.entity, number(x.score)]))]
    },
  },
  "answer": {
    title: "Answer", about: "The part of a text that answers a question.",
    fields: [line("question", "Question", "Where does the river end?"),
      area("context", "Text", "The river rises in the hills above the town, turns the wheels of three mills and ends, after ninety miles, "
        + "in a shallow lake.", 5)],
    request: (m, v) => ({path: routeOf(m, "answer", "?top_k=3"), body: {question: v.question, context: v.context}}),
    answer: (a, v) => [marked(v.context, a.slice(0, 1)), bars(a.map(x => ({label: x.answer || "no answer", score: x.score})))],
  },
  "choose": {
    title: "Choose", about: "Which of several choices fits.",
    fields: [area("context", "Text", "Tom put the kettle on the stove and waited until it whistled."),
      line("question", "Question, or a sentence with _", "Tom wanted _ ."),
      area("choices", "Choices, one a line", "hot water\nto sleep\na new stove", 4)],
    request: (m, v) => ({path: routeOf(m, "choose"), body: {context: v.context, question: v.question, choices: lines(v.choices)}}),
    answer: (a, v) => bars(lines(v.choices).map((label, i) => ({label, score: a.scores[i], chosen: i === a.choice}))),
  },
  "embed": {
    title: "Embed", about: "Which texts are alike.", wide: true,
    fields: [area("texts", "Texts, one a line, at most 64", "The door is closed.\nSomebody shut the door.\nThe train leaves at noon.\n"
      + "When does the train go?\nBread and cheese for lunch.\nWe ate at the station.", 7)],
    request: (m, v) => ({path: "v1/embeddings", body: {model: m, input: lines(v.texts).slice(0, 64)}}),
    answer(a, v, request) {
      const texts = request.body.input, vectors = a.data.map(x => x.embedding)
      return [h("ol", {class: "plain"}, texts.map(t => h("li", {}, t))),
        h("div", {class: "pair"}, heatMap(texts, vectors), vectors.length > 1 && map(texts, vectors)),
        h("p", {class: "muted"}, `${vectors.length} vectors of ${vectors[0].length} numbers.`)]
    },
  },
  "rerank": {
    title: "Rerank", about: "Texts by how well they answer a query.",
    fields: [line("query", "Query", "How do I keep bread fresh?"), area("texts", "Texts, one a line",
      "A loaf stays soft in a cloth bag.\nThe oven must be hot.\nFreeze what you do not eat within two days.\nThe bakery opens at six.", 6)],
    request: (m, v) => ({path: "v1/rerank", body: {model: m, query: v.query, documents: lines(v.texts)}}),
    answer: (a, v) => bars(a.results.map(x => ({label: lines(v.texts)[x.index], score: x.relevance_score}))),
  },
  "zero-shot": {
    title: "Zero-shot", about: "Labels that the model was not trained for, by whether the text entails them.",
    fields: [area("text", "Text", "The match was decided in the last minute by a long shot."),
      area("labels", "Labels, one a line", "sport\npolitics\ncooking", 4),
      {name: "multi", label: "Several labels may hold", value: false, type: "check"}],
    request: (m, v) => ({path: routeOf(m, "pipeline/zero-shot-classification"),
      body: {inputs: v.text, parameters: {candidate_labels: lines(v.labels), multi_label: v.multi}}}),
    answer: a => bars(a),
  },
}
