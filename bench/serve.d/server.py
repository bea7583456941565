"""The server that albert serve is compared with: FastAPI and onnxruntime, on the graph that `albert convert` writes.

    server.py MODEL.onnx TOKENIZER.json PORT THREADS

POST /v1/embeddings answers with a text's mean vector of length 1. What arrives while a batch runs waits; then all that waits, 64 texts at most, is
sorted by length and cut into batches of at most 512 pieces, padded to the longest of each. Nothing waits while the engine is idle. POST /bare tells how
long the engine alone takes for each of some texts.
"""

import asyncio
import base64
import concurrent.futures
import contextlib
import sys
import time

import fastapi
import numpy as np
import onnxruntime
import orjson
import tokenizers
import uvicorn

MOST_TEXTS, MOST_PIECES, LENGTH = 64, 512, 512
model, vocabulary, port, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
names = [i.name for i in session.get_inputs()]
tokenizer = tokenizers.Tokenizer.from_file(vocabulary)
tokenizer.enable_truncation(LENGTH)
engine = concurrent.futures.ThreadPoolExecutor(1)
waiting = asyncio.Queue()


def run(batch):
    """The vectors of encodings."""
    longest = max(len(e.ids) for e in batch)
    ids, mask = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), np.int64)
    for i, e in enumerate(batch):
        ids[i, : len(e.ids)], mask[i, : len(e.ids)] = e.ids, 1
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden = session.run(["last_hidden_state"], {n: feeds[n] for n in names})[0]
    weights = mask[:, :, None].astype(np.float32)
    vectors = (hidden * weights).sum(1) / weights.sum(1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cut(texts):
    """Batches of (encoding, future), of like lengths."""
    texts.sort(key=lambda t: len(t[0].ids))
    batch = []
    for t in texts:
        if batch and len(t[0].ids) * (len(batch) + 1) > MOST_PIECES:
            yield batch
            batch = []
        batch.append(t)
    yield batch


async def batches():
    loop = asyncio.get_running_loop()
    while True:
        texts = [await waiting.get()]
        while not waiting.empty() and len(texts) < MOST_TEXTS:
            texts.append(waiting.get_nowait())
        for batch in cut(texts):
            try:
                vectors = await loop.run_in_executor(engine, run, [e for e, _ in batch])
            except Exception as e:
                for _, future in batch:
                    future.done() or future.set_exception(e)
                continue
            for (_, future), vector in zip(batch, vectors):
                future.done() or future.set_result(vector)


@contextlib.asynccontextmanager
async def lifespan(_):
    task = asyncio.create_task(batches())
    yield
    task.cancel()


app = fastapi.FastAPI(lifespan=lifespan)


@app.get("/health")
async def health():
    return {}


@app.post("/v1/embeddings")
async def embeddings(request: fastapi.Request):
    body = orjson.loads(await request.body())
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    encodings = tokenizer.encode_batch(texts)
    futures = [asyncio.get_running_loop().create_future() for _ in texts]
    for pair in zip(encodings, futures):
        waiting.put_nowait(pair)
    vectors = await asyncio.gather(*futures)
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(v.astype("<f4").tobytes()).decode() for v in vectors]
    else:
        vectors = [v.tolist() for v in vectors]
    pieces = sum(len(e.ids) for e in encodings)
    answer = {"object": "list", "model": body["model"], "usage": {"prompt_tokens": pieces, "total_tokens": pieces},
              "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]}
    return fastapi.Response(orjson.dumps(answer), media_type="application/json")


@app.post("/bare")
def bare(body: dict):
    encodings = tokenizer.encode_batch(body["texts"])
    began = time.perf_counter()
    for e in encodings:
        run([e])
    return {"ms": (time.perf_counter() - began) * 1e3 / len(encodings)}


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
