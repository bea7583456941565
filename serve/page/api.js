// Questions to the server that this page came from, and the same questions as programs.

let key = sessionStorage.getItem("albert-key") || ""

export const hasKey = () => key !== ""

export function setKey(text) {
  key = text.trim()
  if (key) sessionStorage.setItem("albert-key", key)
  else sessionStorage.removeItem("albert-key")
}

// Refused is a problem that the server tells.
export class Refused extends Error {
  constructor(message, status) { super(message); this.status = status }
}

// part is a name as a part of a path.
export const part = encodeURIComponent

// ask gives an answer's JSON, and its text. request is {path, body}; without a body it is a GET.
export async function ask(request, signal) {
  const headers = key ? {Authorization: "Bearer " + key} : {}
  if (request.body !== undefined) headers["Content-Type"] = "application/json"
  let response, text
  try {
    response = await fetch(new URL(request.path, document.baseURI), {method: request.body === undefined ? "GET" : "POST", headers, signal,
      body: request.body === undefined ? undefined : JSON.stringify(request.body)})
    text = await response.text()
  } catch (e) {
    if (e.name === "AbortError") throw e
    throw new Refused("The server does not answer.", 0)
  }
  let json
  try { json = JSON.parse(text) } catch { json = undefined }
  const problem = json && (json.error?.message || json.error || json.message)
  if (!response.ok || json === undefined || typeof problem === "string") throw new Refused(problem || `status ${response.status}`, response.status)
  return {json, text: text.trim()}
}

const shell = text => "'" + text.replaceAll("'", `'\\''`) + "'"

function python(x, indent = "    ") {
  if (x === true) return "True"
  if (x === false) return "False"
  if (x === null) return "None"
  if (typeof x !== "object") return JSON.stringify(x)
  const deeper = indent + "    ", [open, close] = Array.isArray(x) ? "[]" : "{}"
  const list = Array.isArray(x) ? x.map(v => python(v, deeper)) : Object.entries(x).map(([k, v]) => JSON.stringify(k) + ": " + python(v, deeper))
  const line = list.join(", ")
  return line.length <= 70 ? open + line + close : `${open}\n${list.map(v => deeper + v).join(",\n")},\n${indent}${close}`
}

// programs are a question as curl, Python and Go. The key itself is in none of them.
export function programs(request) {
  const url = new URL(request.path, document.baseURI).href, body = JSON.stringify(request.body)
  const curl = [`curl ${shell(url)}`, key && `-H "Authorization: Bearer $ALBERT_API_KEY"`, `-H 'Content-Type: application/json'`, `-d ${shell(body)}`]
  return {
    curl: curl.filter(Boolean).join(" \\\n  "),
    Python: `${key ? "import os\n\n" : ""}import requests

answer = requests.post(
    ${JSON.stringify(url)},
${key ? `    headers={"Authorization": "Bearer " + os.environ["ALBERT_API_KEY"]},\n` : ""}    json=${python(request.body)},
)
answer.raise_for_status()
print(answer.json())`,
    Go: `package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	body := strings.NewReader(${JSON.stringify(body.toWellFormed())})
	request, err := http.NewRequest("POST", ${JSON.stringify(url)}, body)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
${key ? `	request.Header.Set("Authorization", "Bearer "+os.Getenv("ALBERT_API_KEY"))\n` : ""}	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		log.Fatal(err)
	}
}`,
  }
}
