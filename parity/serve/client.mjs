// Asks by openai and @huggingface/inference of npm, and prints what they get as one JSON object. Arguments: where they lie, the server's address.
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"
const [where, url] = process.argv.slice(2)
const require = createRequire(where + "/package.json")
const load = async name => import(pathToFileURL(require.resolve(name)))
const OpenAI = (await load("openai")).default
const { InferenceClient } = await load("@huggingface/inference")
const text = "the reader opens a file."
const openai = new OpenAI({ baseURL: url + "/v1", apiKey: "none" })
const out = { openai: {}, huggingface: {} }
for (const encoding_format of ["float", "base64", undefined])
  out.openai[encoding_format ?? "default"] = (await openai.embeddings.create({ model: "fill", input: [text], encoding_format })).data[0].embedding
out.models = (await openai.models.list()).data.map(m => m.id)
const at = name => new InferenceClient().endpoint(url + "/models/" + name)
const hf = out.huggingface
hf.textClassification = await at("classify").textClassification({ inputs: text })
hf.tokenClassification = await at("tag").tokenClassification({ inputs: text })
hf.questionAnswering = await at("answer").questionAnswering({ inputs: { question: "who?", context: "Tom opens a file." }, parameters: { max_answer_len: 30 } })
hf.fillMask = await at("fill").fillMask({ inputs: "a [MASK]." })
hf.featureExtraction = await at("fill/pipeline/feature-extraction").featureExtraction({ inputs: text })
hf.sentenceSimilarity = await at("fill").sentenceSimilarity({ inputs: { source_sentence: text, sentences: ["a door", text] } })
hf.zeroShotClassification = await at("classify").zeroShotClassification({ inputs: text, parameters: { candidate_labels: ["files", "doors"] } })
console.log(JSON.stringify(out))
