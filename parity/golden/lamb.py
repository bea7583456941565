"""LAMB and AdamW as released (lamb_optimizer.py and optimization.py of google-research/albert), in float64.

Written from the description of the released code, independently of the Go package optim: no bias correction, epsilon outside the
root, the gradient clipped by its global norm before the update, no decay and no ratio for tensors whose name holds "LayerNorm",
"layer_norm" or "bias".
"""

import re

import torch

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-6
EXCLUDED = re.compile("LayerNorm|layer_norm|bias")


def learning_rate(step, peak, steps, warmup):
    """The rate of the given step, counted from 0: linear warm-up, then linear decay to 0 that counts from step 0."""
    if step < warmup:
        return peak * step / warmup
    return peak * (1 - step / steps)


class Optimizer:
    """Updates a dict of float64 tensors in place."""

    def __init__(self, kind, parameters, weight_decay=0.01, clip=1.0):
        self.kind, self.parameters, self.weight_decay, self.clip = kind, parameters, weight_decay, clip
        self.m = {n: torch.zeros_like(w) for n, w in parameters.items()}
        self.v = {n: torch.zeros_like(w) for n, w in parameters.items()}

    def step(self, gradients, rate):
        """Moves the parameters; returns the gradient's global norm before clipping."""
        norm = float(torch.sqrt(sum((g**2).sum() for g in gradients.values())))
        scale = self.clip / norm if norm > self.clip else 1.0
        for name, w in self.parameters.items():
            g = gradients[name] * scale
            m, v = self.m[name], self.v[name]
            m.mul_(BETA1).add_(g, alpha=1 - BETA1)
            v.mul_(BETA2).add_(g**2, alpha=1 - BETA2)
            u = m / (v.sqrt() + EPSILON)
            ratio = 1.0
            if not EXCLUDED.search(name):
                u = u + self.weight_decay * w
                if self.kind == "lamb" and w.norm() > 0 and u.norm() > 0:
                    ratio = float(w.norm() / u.norm())
            w.sub_(u, alpha=rate * ratio)
        return norm
