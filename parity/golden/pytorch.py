"""Makes the files of internal/files/pytorch/testdata: state dicts as torch.save writes them, and pickles that must be refused.

    pytorch.py [DIRECTORY]

good/FILE is a file, good/expected.json says for each which tensors it has: {FILE: {NAME: [dtype, shape, bytes in hex]}}, dtypes in
safetensors' names, the bytes little-endian and in row-major order as PyTorch itself gives them. bad/FILE is a file of torch's that is
no state dict, and bad/expected.json says what its refusal has to name; programs.json holds pickles that ask for what no tensor needs,
{NAME: {"program": hex, "error": ...}}, which the test puts into both containers. Needs torch; the keys of a legacy file's storages are
addresses, so that no two runs give the same bytes.
"""

import collections
import json
import os
import pathlib
import pickle
import struct
import sys
import zipfile

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2] / "internal/files/pytorch/testdata"
DTYPES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64", torch.int32: "I32",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}


def described(t):
    """[dtype, shape, hex] of a tensor."""
    t = t.detach().contiguous()
    data = b"" if t.numel() == 0 else bytes(t.reshape(-1).view(torch.uint8).numpy())
    return [DTYPES[t.dtype], list(t.shape), data.hex()]


def types():
    values = torch.tensor([0.0, -1.5, 3.25, float("inf"), float("nan"), 6e-8], dtype=torch.float64).reshape(2, 3)
    d = {str(t)[6:]: values.to(t) for t in (torch.float32, torch.float16, torch.bfloat16, torch.float64)}
    whole = torch.tensor([0, 1, -2, 100])
    d |= {str(t)[6:]: whole.to(t) for t in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)}
    d["scalar"] = torch.tensor(7.0)
    d["empty"] = torch.zeros(0, 7)
    d["long name " + "x" * 300] = torch.zeros(1)
    d["name é, 名"] = torch.ones(1)
    return d


def views():
    x = torch.arange(24.0).reshape(2, 3, 4)
    y = torch.arange(6, dtype=torch.int16)
    return {
        "whole": x, "same": x, "transposed": x.transpose(0, 2), "permuted": x.permute(1, 2, 0), "steps": x[:, 1:, ::2], "row": x[1, 2],
        "last": x[1, 2, 3], "none": x[2:], "repeated": x[0, 0].expand(5, 4), "ones": x[:1, :1].transpose(0, 1), "y.t": y.reshape(2, 3).t(),
        "y": y[3:],
    }


def module():
    """A module's state dict: parameters, buffers, _metadata, and the names of the first BERT files."""
    torch.manual_seed(1)
    m = torch.nn.Sequential(collections.OrderedDict(dense=torch.nn.Linear(3, 2), norm=torch.nn.BatchNorm1d(2)))
    d = m.state_dict()
    d["encoder.LayerNorm.gamma"] = torch.tensor([1.0, 2.0])
    d["encoder.LayerNorm.beta"] = torch.tensor([3.0, 4.0])
    assert d._metadata
    return d


def parameters():
    return collections.OrderedDict(a=torch.nn.Parameter(torch.arange(4.0)), b=torch.nn.Parameter(torch.ones(2), requires_grad=False))


def save(name, object, state, **how):
    """Saves object, whose tensors are those of the dict state."""
    torch.save(object, ROOT / "good" / name, **how)
    expect(name, state)


def expect(name, state):
    now = {}
    for k, v in state.items():
        if isinstance(v, torch.Tensor):
            now[k.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = described(v)
    good[name] = now


good, bad, programs = {}, {}, {}


def make_good():
    old = {"_use_new_zipfile_serialization": False}
    cases = {"types": types(), "views": views(), "module": module(), "parameters": parameters()}
    for name, d in cases.items():
        save(f"{name}.pt", d, d)
        save(f"{name}.legacy.pt", d, d, **old)
    d = module()
    for protocol in (1, 3, 4, 5):
        save(f"protocol{protocol}.pt", d, d, pickle_protocol=protocol)
        save(f"protocol{protocol}.legacy.pt", d, d, pickle_protocol=protocol, **old)
    save("state_dict.pt", {"state_dict": d, "epoch": 3, "best": 0.5, "loss": torch.ones(1), "big": 1 << 80, "names": ["a", ("b", None)]}, d)
    save("model.legacy.pt", {"epoch": -70000, "model": d, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, d, **old)
    mixed = {"w": torch.ones(2), "step": 3, "config": {"hidden_size": 4, "act": "gelu"}, 7: None}
    save("mixed.pt", mixed, mixed)
    torch.serialization.set_crc32_options(False)
    save("no-crc.pt", d, d)
    torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(ROOT / "good/views.pt") as a, zipfile.ZipFile(ROOT / "good/deflated.pt", "w", zipfile.ZIP_DEFLATED) as b:
        for name in a.namelist():
            b.writestr(zipfile.ZipInfo(name), a.read(name), zipfile.ZIP_DEFLATED)
    expect("deflated.pt", views())


def write(name, what):
    (ROOT / name).write_text(json.dumps({"torch": torch.__version__, "files": what}, indent=1, sort_keys=True) + "\n")


class Call:
    """An object whose pickle calls a function."""

    def __init__(self, f, *args):
        self.call = f, args

    def __reduce__(self):
        return self.call


def refused(name, program, want):
    programs[name] = {"program": program.hex(), "error": want}


def make_bad():
    call = "refuses to call {}: only tensors are read".format
    system = f"{os.system.__module__}.system"  # os.system is posix.system or nt.system in a pickle
    for protocol in range(6):  # PyTorch cannot load its files of protocol 0, and the names in them are refused already
        refused(f"system{protocol}", pickle.dumps({"w": Call(os.system, "exit 7")}, protocol), call(system) if protocol else "operation 0x56")
    nested = {"state_dict": collections.OrderedDict(a=[({"b": Call(eval, "1/0")},)])}
    refused("eval", pickle.dumps(nested, 4), call("builtins.eval"))
    refused("eval2", pickle.dumps(nested, 2), call("__builtin__.eval"))
    refused("os", b"\x80\x02cos\nsystem\nX\x06\x00\x00\x00exit 7\x85R.", call("os.system"))
    refused("inst", b"(X\x06\x00\x00\x00exit 7ios\nsystem\n.", call("os.system"))
    refused("obj", b"(cos\nsystem\nX\x06\x00\x00\x00exit 7o.", call("os.system"))
    refused("stack-global", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x06exit 7\x85R.", call("os.system"))
    name = b"_rebuild_tensor_v2.__globals__.__class__"
    refused("dotted", b"\x80\x04\x8c\x0ctorch._utils\x8c%c%s\x93." % (len(name), name), call("torch._utils." + name.decode()))
    refused("getattr", pickle.dumps(Call(getattr, collections.OrderedDict, "fromkeys"), 4), call("builtins.getattr"))
    refused("numpy", pickle.dumps({"w": torch.ones(1).numpy()}, 2), "refuses to call numpy")
    refused("newobj", b"\x80\x02ccollections\nOrderedDict\n)\x81.", "refuses to make an object")
    refused("newobj-ex", b"\x80\x04ccollections\nOrderedDict\n)}\x92.", "refuses to make an object")
    refused("build", b"\x80\x02}K\x01b.", "refuses to set the state of an object")
    refused("build-global", b"\x80\x02ccollections\nOrderedDict\n}b.", "refuses to set the state of an object")
    refused("extension", b"\x80\x02\x82\x01.", "operation 0x82")
    refused("not-callable", b"\x80\x02X\x02\x00\x00\x00os)R.", "cannot be called")
    refused("storage-call", b"\x80\x02ctorch\nFloatStorage\n)R.", "refuses to call torch.FloatStorage")
    loop = []
    loop.append(loop)
    refused("loop", pickle.dumps(loop, 2), "not a dict of tensors")
    circle = {}
    circle["model"] = circle
    refused("circle", pickle.dumps(circle, 2), "no tensors")
    refused("deep", b"\x80\x02" + b"]" * 2000 + b"a" * 1999 + b".", "not a dict of tensors")
    refused("marks", b"\x80\x02" + b"(" * 1025 + b".", "more than 1024 marks")
    lol = b"\x80\x02]q\x00"  # ten references to a list of ten references to ...
    for i in range(1, 60):
        lol += b"](" + b"h%c" % (i - 1) * 10 + b"eq%c" % i
    refused("laughs", lol + b".", "not a dict of tensors")
    refused("text", b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b".", "a string of 1152921504606846976 bytes")
    refused("long", b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b".", "an integer of 2147483647 bytes")
    for protocol, name in ((2, "linear"), (4, "linear4")):
        for zipped in (True, False):
            path = f"{name}{'' if zipped else '.legacy'}.pt"
            torch.save(torch.nn.Linear(2, 1), ROOT / "bad" / path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
            bad[path] = "torch.nn.modules.linear.Linear" if zipped else "e"
    script = torch.jit.script(torch.nn.Linear(2, 1))
    torch.jit.save(script, ROOT / "bad/script.pt")
    bad["script.pt"] = "a TorchScript model"
    torch.save({"w": torch.ones(1).to_sparse()}, ROOT / "bad/sparse.pt")
    bad["sparse.pt"] = call("torch._utils._rebuild_sparse_tensor")
    torch.save({"w": torch.ones(1, dtype=torch.complex64).conj()}, ROOT / "bad/complex.pt")
    bad["complex.pt"] = call("torch.ComplexFloatStorage")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ROOT = pathlib.Path(sys.argv[1])
    for part in ("good", "bad"):
        (ROOT / part).mkdir(parents=True, exist_ok=True)
    make_good()
    make_bad()
    for part, what in (("good", good), ("bad", bad)):
        made = {p.name for p in (ROOT / part).glob("*.pt")}
        assert made == set(what), made ^ set(what)
        write(f"{part}/expected.json", what)
    write("programs.json", programs)
