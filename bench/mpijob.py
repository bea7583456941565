#!/usr/bin/env python3
"""Checks MPIJobs against the schema of Kubeflow's CRD, which the API server holds them to; an unknown field is an error here, there a warning.

    bench/mpijob.py CRD.yaml JOB.yaml     # with PyYAML; bench/ranks.sh kubeflow gets both
"""
import sys

import yaml

KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}


def problems(value, schema, path):
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)):
            yield f"{path}: {value!r} is neither a number nor a string"
        return
    kind = schema.get("type")
    if kind and not isinstance(value, KINDS[kind]):
        yield f"{path}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if kind == "array":
        for i, item in enumerate(value):
            yield from problems(item, schema["items"], f"{path}[{i}]")
    if kind == "object":
        for name in schema.get("required", []):
            if name not in value:
                yield f"{path}: {name} is missing"
        others = schema.get("additionalProperties")
        for name, item in value.items():
            known = schema.get("properties", {}).get(name, others if isinstance(others, dict) else None)
            if known is not None:
                yield from problems(item, known, f"{path}.{name}")
            elif "properties" in schema:
                yield f"{path}: unknown field {name}"


crd, job = (yaml.safe_load(open(name)) for name in sys.argv[1:])
version = job["apiVersion"].split("/")[1]
schema = next(v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version)
found = list(problems(job, schema, job["kind"]))
print("\n".join(found) or f"{sys.argv[2]}: valid")
sys.exit(bool(found))
