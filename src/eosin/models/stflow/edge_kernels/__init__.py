"""What STFlow does at every edge, compiled: one pass over memory instead of a dozen (CPU, float32).

An edge of the published network holds four heads of 128 numbers before and 64 after a gate; done by whole tensor
operations, reading and writing them costs more than the matrix products around them. Here a row stays in registers from
gather to result, and what the way back needs is computed again rather than kept.

Nothing of torch is used here: `edge_ops` and `stflow_compiled` call these on NumPy views of tensors, and `edge_ops` has
the same formulas in torch, which serve other devices. Functions release the interpreter lock and write to arrays that
the caller owns, rows [a, b) of them, so that threads can share the work without sharing a result.

Dropout masks are functions of a seed and of a number's place (a hash), hence the way back needs no stored mask.
"""

from eosin.models.stflow.edge_kernels.backward import collect, frames_back, logits_back, mix_back, mix_back_v
from eosin.models.stflow.edge_kernels.by_spot import product
from eosin.models.stflow.edge_kernels.elementary import dropout_mask, exponential
from eosin.models.stflow.edge_kernels.forward import frames, logits, mix
from eosin.models.stflow.edge_kernels.layer import attend, lay

__all__ = [
    "attend",
    "collect",
    "dropout_mask",
    "exponential",
    "frames",
    "frames_back",
    "lay",
    "logits",
    "logits_back",
    "mix",
    "mix_back",
    "mix_back_v",
    "product",
]
