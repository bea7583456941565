"""Asks albert serve by the clients that people have, and compares what each gets with albert embed, predict and fill (see ../serve.sh)."""

import argparse
import base64
import json
import math
import os
import shutil
import struct
import subprocess
import sys

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
albert = os.environ["ALBERT_BIN"]
text, other = "the reader opens a file.", "a door"
failures = checks = 0


def check(client, what, got, want, tolerance=0.0):
    """Compares numbers after conversion to float32; with a tolerance what this script computes from the command's logits."""
    global failures, checks
    checks += 1
    got, want = np.asarray(got, np.float32).ravel(), np.asarray(want, np.float32).ravel()
    same = got.shape == want.shape and (np.array_equal(got, want) if tolerance == 0 else np.allclose(got, want, rtol=0, atol=tolerance))
    if not same:
        failures += 1
    how = "same bits" if tolerance == 0 else f"within {tolerance}"
    print(f"{client:24} {what:32} {len(want):6} numbers: {how if same else f'DIFFERENT: {got[:4]} {want[:4]} of {got.shape} {want.shape}'}")


def write_model(directory, architecture, labels=(), heads=()):
    """A random model; heads are (name, rows, columns) beside the encoder's tensors."""
    e, h, f, vocab = 16, 64, 128, 500
    rng = np.random.default_rng(len(architecture) + len(labels))
    layer = "albert.encoder.albert_layer_groups.0.albert_layers.0."
    maps = [("albert.encoder.embedding_hidden_mapping_in", h, e), ("albert.pooler", h, h), (layer + "ffn", f, h), (layer + "ffn_output", h, f)]
    maps += [(layer + "attention." + name, h, h) for name in ("query", "key", "value", "dense")]
    norms = [("albert.embeddings.LayerNorm", e), (layer + "attention.LayerNorm", h), (layer + "full_layer_layer_norm", h)]
    tensors = {"albert.embeddings.word_embeddings.weight": (vocab, e), "albert.embeddings.position_embeddings.weight": (512, e),
               "albert.embeddings.token_type_embeddings.weight": (2, e)}
    if architecture == "AlbertForPreTraining":
        maps += [("predictions.dense", e, h), ("sop_classifier.classifier", 2, h)]
        norms.append(("predictions.LayerNorm", e))
        tensors["predictions.bias"] = (vocab,)
    for name, rows, columns in maps + list(heads):
        tensors[name + ".weight"], tensors[name + ".bias"] = (rows, columns), (rows,)
    for name, n in norms:
        tensors[name + ".weight"], tensors[name + ".bias"] = (n,), (n,)
    os.makedirs(directory)
    config = {"model_type": "albert", "architectures": [architecture], "vocab_size": vocab, "embedding_size": e, "hidden_size": h, "intermediate_size": f,
              "num_hidden_layers": 3, "num_attention_heads": 4, "num_hidden_groups": 1, "inner_group_num": 1, "hidden_act": "gelu_new", "max_position_embeddings": 512,
              "type_vocab_size": 2, "hidden_dropout_prob": 0, "attention_probs_dropout_prob": 0, "layer_norm_eps": 1e-12, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    if labels:
        config["id2label"], config["label2id"] = {str(i): l for i, l in enumerate(labels)}, {l: i for i, l in enumerate(labels)}
    with open(directory + "/config.json", "w") as out:
        json.dump(config, out)
    header, data = {}, b""
    for name, shape in sorted(tensors.items()):
        value = rng.normal(0, 0.3, shape).astype("<f4")
        if "orm.weight" in name:
            value += 1
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + value.nbytes]}
        data += value.tobytes()
    head = json.dumps(header).encode()
    with open(directory + "/model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(head)) + head + data)
    shutil.copy(here + "/../../tokenizer/testdata/albert.model", directory + "/spiece.model")


def write_models(tmp):
    h = 64
    write_model(tmp + "/fill", "AlbertForPreTraining")
    write_model(tmp + "/classify", "AlbertForSequenceClassification", ("entailment", "neutral", "contradiction"), [("classifier", 3, h)])
    write_model(tmp + "/tag", "AlbertForTokenClassification", ("B-x", "I-x", "B-y"), [("classifier", 3, h)])
    write_model(tmp + "/answer", "AlbertForQuestionAnswering", (), [("qa_outputs", 2, h)])
    write_model(tmp + "/rank", "AlbertForSequenceClassification", ("LABEL_0",), [("classifier", 1, h)])


class Server:
    """albert serve with models, of which the first answers where a route names none."""

    def __init__(self, tmp, *names):
        self.process = subprocess.Popen([albert, "serve", *[f"{tmp}/{n}" for n in names], "--port", "0", "--quiet", "--allow-token-ids"],
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if "http://" not in line:
            sys.exit(line + self.process.stderr.read())
        self.url = line.split()[-1]

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.process.terminate()
        if self.process.wait(30) != 0:
            sys.exit("albert serve ended with another status than 0")


def command(*args, lines=()):
    """What a command answers to lines, parsed."""
    out = subprocess.run([albert, *args, "--quiet"], input="".join(l + "\n" for l in lines), capture_output=True, text=True, check=True).stdout
    return [json.loads(l) for l in out.splitlines()]


def embeddings(tmp, model, texts, *flags):
    return [x["embedding"] for x in command("embed", f"{tmp}/{model}", *flags, lines=texts)]


def floats(vector):
    """A vector that may be base64, which some clients leave to who asked for it."""
    return np.frombuffer(base64.b64decode(vector), "<f4") if isinstance(vector, str) else vector


def cosine(a, b):
    a, b = np.asarray(a, np.float32).astype(float), np.asarray(b, np.float32).astype(float)
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


def openai_client(tmp, url):
    import openai
    client = openai.OpenAI(base_url=url + "/v1", api_key="none")
    want = embeddings(tmp, "fill", [text, other], "--normalize")
    for form in ("float", "base64", openai.NOT_GIVEN):
        got = client.embeddings.create(model="fill", input=[text, other], encoding_format=form)
        check("openai", f"embeddings, {form or 'default'}", [floats(x.embedding) for x in got.data], want)
    got = client.embeddings.create(model="fill", input=text, dimensions=5)
    check("openai", "embeddings, 5 dimensions", got.data[0].embedding, embeddings(tmp, "fill", [text], "--normalize", "--dimensions", "5"))
    assert [m.id for m in client.models.list()] == ["fill", "classify", "tag", "answer", "rank"] and client.models.retrieve("tag").id == "tag"
    try:
        client.embeddings.create(model="nope", input=text)
        sys.exit("openai: a model that is not there answers")
    except openai.NotFoundError as e:
        assert e.code == "model_not_found"


def huggingface(tmp, url):
    from huggingface_hub import InferenceClient
    name = "huggingface_hub"
    at = lambda model: InferenceClient(model=f"{url}/models/{model}")
    scores = lambda model, *flags, lines=(text,): command("predict", f"{tmp}/{model}", *flags, lines=lines)[0]
    check(name, "text_classification", [x.score for x in at("classify").text_classification(text)], [x["score"] for x in scores("classify", "--all")["labels"]])
    check(name, "token_classification", [(x.score, x.start, x.end) for x in at("tag").token_classification(text)],
          [(x["score"], x["start"], x["end"]) for x in scores("tag", "--aggregate")])
    question = {"question": "who?", "context": "Tom opens a file."}
    got = at("answer").question_answering(**question, max_answer_len=30, align_to_words=False)
    want = scores("answer", lines=[json.dumps(question)])
    check(name, "question_answering", (got.score, got.start, got.end), (want["score"], want["start"], want["end"]))
    assert got.answer == want["answer"]
    check(name, "fill_mask", [(x.score, x.token) for x in at("fill").fill_mask("a [MASK].")],
          [(x["score"], x["token"]) for x in command("fill", f"{tmp}/fill", lines=["a [MASK]."])[0]])
    unit = embeddings(tmp, "fill", [text, other], "--normalize")
    check(name, "feature_extraction", InferenceClient(model=f"{url}/models/fill/pipeline/feature-extraction").feature_extraction(text, normalize=True), unit[0])
    check(name, "feature_extraction at /", InferenceClient(model=url).feature_extraction(text), unit[0])
    check(name, "sentence_similarity", at("fill").sentence_similarity(text, other_sentences=[other, text]), [cosine(unit[0], unit[1]), cosine(unit[0], unit[0])], 1e-7)
    logits = [x["logits"][0] for x in command("predict", f"{tmp}/classify", "--logits",
              lines=[json.dumps({"text": text, "text_pair": f"This example is {l}."}) for l in ("files", "doors")])]
    p = np.exp(np.asarray(logits)) / np.exp(np.asarray(logits)).sum()
    check(name, "zero_shot_classification", [x.score for x in at("classify").zero_shot_classification(text, candidate_labels=["files", "doors"])], sorted(p, reverse=True), 1e-6)


def triton(tmp, url):
    import tritonclient.http as http
    client = http.InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("fill") and client.is_model_ready("fill", "1")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"] and client.get_model_metadata("classify")["outputs"][0]["name"] == "logits"
    want = embeddings(tmp, "fill", [text, other])
    logits = [x["logits"] for x in command("predict", f"{tmp}/classify", "--logits", lines=[text, other])]
    ids = np.asarray([[2, 30, 31, 32, 3], [2, 7, 8, 9, 3]], np.int64)
    of_ids = command("embed", f"{tmp}/fill", lines=[json.dumps({"input_ids": r.tolist()}) for r in ids])
    for binary in (True, False):
        for packed in (None, "gzip", "deflate"):
            tensor = http.InferInput("text", [2], "BYTES")
            tensor.set_data_from_numpy(np.asarray([text.encode(), other.encode()], object), binary_data=binary)
            how = f"{'binary' if binary else 'JSON'} {packed or ''}"
            got = client.infer("classify", [tensor], request_compression_algorithm=packed)
            check("tritonclient", "logits, " + how, got.as_numpy("logits"), logits)
            got = client.infer("fill", [tensor], outputs=[http.InferRequestedOutput("embedding", binary_data=binary)], request_compression_algorithm=packed)
            check("tritonclient", "embedding, " + how, got.as_numpy("embedding"), want)
        tensor = http.InferInput("input_ids", ids.shape, "INT64")
        tensor.set_data_from_numpy(ids, binary_data=binary)
        check("tritonclient", "embedding of input_ids", client.infer("fill", [tensor]).as_numpy("embedding"), [x["embedding"] for x in of_ids])


def tei(tmp, url, first):
    from tei_client import HttpClient
    client = HttpClient(url)
    if first == "fill":
        assert client.health() and client.info().max_input_length == 512
        check("tei-client", "embed", client.embed([text, other]), embeddings(tmp, "fill", [text, other], "--normalize"))
        check("tei-client", "embed, not normalised", client.embed(text, normalize=False), embeddings(tmp, "fill", [text]))
        check("tei-client", "embed_all", client.embed_all(text), embeddings(tmp, "fill", [text], "--pooling", "none"))
        ids = client.tokenize(text)[0].get_ids()
        assert ids[0] == 2 and ids[-1] == 3 and "reader" in client.decode(ids)[0]
        assert client.prompt_names() in ([], [""])
    elif first == "classify":
        got = client.classify([text, other])
        check("tei-client", "classify", [[x.score for x in r.scores] for r in got],
              [[x["score"] for x in r["labels"]] for r in command("predict", f"{tmp}/classify", "--all", lines=[text, other])])
    else:
        logits = ranks(tmp)
        got = client.rerank("who?", [text, other], raw_scores=True)
        check("tei-client", "rerank, raw scores", [x.score for x in sorted(got.ranks, key=lambda x: x.index)], logits)


def ranks(tmp):
    return [x["score"] for x in command("predict", f"{tmp}/rank", lines=[json.dumps({"text": "who?", "text_pair": t}) for t in (text, other)])]


def rerankers(tmp, url):
    import cohere
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
    want = [1 / (1 + math.exp(-x)) for x in ranks(tmp)]
    for version in (cohere.ClientV2, cohere.Client):
        got = version(base_url=url, api_key="none").rerank(model="rank", query="who?", documents=[text, other]).results
        check("cohere", version.__name__ + ".rerank", [x.relevance_score for x in sorted(got, key=lambda x: x.index)], want, 1e-7)
    nodes = [NodeWithScore(node=TextNode(text=t), score=0) for t in (text, other)]
    got = TextEmbeddingInference(base_url=url, top_n=2).postprocess_nodes(nodes, QueryBundle("who?"))
    check("llama-index", "reranker", sorted(x.score for x in got), sorted(want), 1e-7)


def llama_embeddings(tmp, url):
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference
    texts = [f"{text} {i}" for i in range(100)]
    got = TextEmbeddingsInference(model_name="fill", base_url=url, embed_batch_size=100).get_text_embedding_batch(texts)
    check("llama-index", "embeddings of 100 texts", got, embeddings(tmp, "fill", texts, "--normalize"))


def npm(tmp, url):
    where = os.environ["ALBERT_NPM"]
    if not shutil.which("node") or not os.path.isdir(where + "/node_modules"):
        print("npm: skipped, there is no node")
        return
    got = json.loads(subprocess.run(["node", here + "/client.mjs", where, url], capture_output=True, text=True, check=True).stdout)
    unit = embeddings(tmp, "fill", [text, other], "--normalize")
    for form, vector in got["openai"].items():
        check("npm openai", f"embeddings, {form}", floats(vector), unit[0])
    hf, name = got["huggingface"], "npm @huggingface"
    check(name, "textClassification", [x["score"] for x in hf["textClassification"]],
          [x["score"] for x in command("predict", f"{tmp}/classify", "--all", lines=[text])[0]["labels"]])
    check(name, "tokenClassification", [x["score"] for x in hf["tokenClassification"]], [x["score"] for x in command("predict", f"{tmp}/tag", "--aggregate", lines=[text])[0]])
    check(name, "questionAnswering", hf["questionAnswering"]["score"],
          command("predict", f"{tmp}/answer", lines=[json.dumps({"question": "who?", "context": "Tom opens a file."})])[0]["score"])
    check(name, "fillMask", [x["score"] for x in hf["fillMask"]], [x["score"] for x in command("fill", f"{tmp}/fill", lines=["a [MASK]."])[0]])
    check(name, "featureExtraction", hf["featureExtraction"], unit[0])
    check(name, "sentenceSimilarity", hf["sentenceSimilarity"], [cosine(unit[0], unit[1]), cosine(unit[0], unit[0])], 1e-7)
    assert len(hf["zeroShotClassification"]) == 2


def go(tmp, url):
    got = json.loads(subprocess.run([os.environ["ALBERT_GO_CLIENT"], url, text], capture_output=True, text=True, check=True).stdout)
    for form, vector in got.items():
        check("go-openai", f"embeddings, {form}", vector, embeddings(tmp, "fill", [text], "--normalize"))


def schemathesis(tmp, url, examples):
    """Asks every route what its forms allow: no 500, no status or form that openapi.json does not name."""
    global failures
    subprocess.run([sys.executable, "-c", "import json,sys,urllib.request,openapi_spec_validator as v\n"
                    "v.validate(json.load(urllib.request.urlopen(sys.argv[1])))", url + "/openapi.json"], check=True)
    print("openapi.json is valid")
    tool = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    done = subprocess.run([tool, "run", url + "/openapi.json", "--max-examples", str(examples), "--phases", "examples,coverage,fuzzing", "--checks",
                           "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance", "--exclude-path-regex", "^/models/.*/reload$",
                           "--no-color"], cwd=tmp, capture_output=True, text=True)  # it leaves a cache
    print(done.stdout[-6000:] if done.returncode else "\n".join(done.stdout.splitlines()[-12:]))
    failures += done.returncode != 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tmp")
    p.add_argument("--examples", type=int, default=25, help="of each route, for schemathesis")
    a = p.parse_args()
    write_models(a.tmp)
    for first in ("fill", "classify", "rank"):
        others = [m for m in ("fill", "classify", "tag", "answer", "rank") if m != first]
        with Server(a.tmp, first, *others) as url:
            tei(a.tmp, url, first)
            if first == "rank":
                rerankers(a.tmp, url)
            if first == "fill":
                for client in (openai_client, huggingface, triton, llama_embeddings, npm, go):
                    client(a.tmp, url)
                if a.examples:
                    schemathesis(a.tmp, url, a.examples)
    print(f"{checks} comparisons, {failures} failures")
    sys.exit(failures > 0)


main()
