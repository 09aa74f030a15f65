"""What products, normalisations, attention and pooling do to the axes of their tensors; see `rules`."""

from __future__ import annotations

from typing import Callable, Optional

from .dims import Dim, product, regroup, unify
from .rules import RULES, Operation, Results, broadcast, fix_all, pointwise, rule, tensors_of, unify_all

# Products


@rule("mm", "bmm", "dot", "vdot", "mv", "matmul")
def _mm(op: Operation) -> Optional[Results]:
    a = op.axes("self")
    b = op.axes(next(name for name in ("mat2", "vec", "tensor", "other") if op[name] is not None))
    if len(a) > 3 or len(a) == 3 and len(b) != 3:
        return None
    if len(a) == 3:
        unify(a[0], b[0])
    unify(a[-1], b[max(0, len(b) - 2)])
    return [a[:-1] + (b[-1:] if len(b) > 1 else [])]


@rule("addmm", "addmv", "baddbmm", "_addmm_activation")
def _addmm(op: Operation) -> Results:
    added = op.axes("self")
    a = op.axes("mat1" if op["mat1"] is not None else "mat" if op["mat"] is not None else "batch1")
    b = op.axes("mat2" if op["mat2"] is not None else "vec" if op["vec"] is not None else "batch2")
    if len(a) == 3:
        unify(a[0], b[0])
    unify(a[-1], b[max(0, len(b) - 2)])
    return [broadcast([a[:-1] + (b[-1:] if len(b) > 1 else []), added], op.shapes[0])]


@rule("linear")
def _linear(op: Operation) -> Results:
    data, weight, bias = op.axes("input", "weight", "bias")
    unify(data[-1], weight[1])
    if bias:
        unify(weight[0], bias[0])
    return [[*data[:-1], weight[0]]]


@rule("_trilinear")
def _trilinear(op: Operation) -> Results:
    tensors = []
    for name, dims in (("i1", "expand1"), ("i2", "expand2"), ("i3", "expand3")):
        axes = list(op.axes(name))
        for dim in sorted(op[dims]):
            axes.insert(dim, Dim(1))
        tensors.append(axes)
    whole = broadcast(tensors, [max(axis.size for axis in met) for met in zip(*tensors)])
    return [[axis for dim, axis in enumerate(whole) if dim not in op["sumdim"]]]


@rule("convolution", "_convolution", "conv1d", "conv2d", "conv3d")
def _convolution(op: Operation) -> Optional[Results]:
    data, weight, bias = op.axes("input", "weight", "bias")
    groups, result = op["groups"] or 1, op.fresh()
    if len(data) != len(weight) or isinstance(op["padding"], str):
        return None
    fix_all(data[2:])
    fix_all(weight[2:])
    if op["transposed"]:
        inner, outer = weight[0], weight[1] if groups == 1 else None
        if groups > 1:
            parts = regroup([inner], [groups, inner.size // groups])
            if parts is None:
                return None
            outer = product([parts[0], weight[1]])
        unify(data[1], inner)
    elif groups == 1:
        unify(data[1], weight[1])
        outer = weight[0]
    else:
        inputs = regroup([data[1]], [groups, data[1].size // groups])
        outputs = regroup([weight[0]], [groups, weight[0].size // groups])
        if inputs is None or outputs is None:
            return None
        unify(inputs[0], outputs[0])
        unify(inputs[1], weight[1])
        outer = weight[0]
    if bias:
        unify(outer, bias[0])
    return [[data[0], outer, *result[2:]]]


# Attention


@rule("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention",
      "_scaled_dot_product_efficient_attention", "_scaled_dot_product_attention_math",
      "scaled_dot_product_attention")  # fmt: skip
def _attention(op: Operation) -> Optional[Results]:
    query, key, value = op.axes("query", "key", "value")
    mask = op["attn_mask"] if op["attn_mask"] is not None else op["attn_bias"]
    if not len(query) == len(key) == len(value):
        return None
    for other in (key, value):
        unify_all(query[:-2], other[:-2])
    unify(query[-1], key[-1])
    unify(key[-2], value[-2])
    if op["is_causal"]:
        fix_all([query[-2], key[-2]])
    if mask is not None:
        weights = [*query[:-1], key[-2]]
        broadcast([weights, op.of(mask)], [axis.size for axis in weights])
    return [[*query[:-1], value[-1]], *(op.fresh(i) for i in range(1, len(op.shapes)))]


# Normalisation


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "cudnn_batch_norm",
      "batch_norm", "_batch_norm_no_update", "_native_batch_norm_legit_functional", "miopen_batch_norm")  # fmt: skip
def _batch_norm(op: Operation) -> Results:
    data = op.axes("input")
    for name in ("weight", "bias", "running_mean", "running_var"):
        if op[name] is not None:
            unify(data[1], op.axes(name)[0])
    return [data, *(op.fresh(i) for i in range(1, len(op.shapes)))]


@rule("native_layer_norm", "layer_norm", "rms_norm", "_fused_rms_norm")
def _layer_norm(op: Operation) -> Results:
    data = op.axes("input")
    count = len(op["normalized_shape"])
    for name in ("weight", "bias"):
        if op[name] is not None:
            unify_all(data[-count:], op.axes(name))
    return [data, *(op.fresh(i) for i in range(1, len(op.shapes)))]


@rule("native_group_norm", "group_norm")
def _group_norm(op: Operation) -> Optional[Results]:
    data = op.axes("input")
    groups = op["group"] or op["num_groups"]
    if regroup([data[1]], [groups, data[1].size // groups]) is None:
        return None
    for name in ("weight", "bias"):
        if op[name] is not None:
            unify(data[1], op.axes(name)[0])
    return [data, *(op.fresh(i) for i in range(1, len(op.shapes)))]


@rule("_weight_norm_interface", "_weight_norm")
def _weight_norm(op: Operation) -> Results:
    v, g = op.axes("v", "g")
    result = broadcast([v, g], [axis.size for axis in v])
    return [result, *([g] if len(op.shapes) > 1 else [])]


# Operations on pictures, whose last axes are fixed while those before stay


def _spatial(count: int) -> Callable[[Operation], Results]:
    def result(op: Operation) -> Results:
        axes = op.of(tensors_of(op.arguments.values())[0])
        fix_all(axes[-count:])
        return [[*axes[:-count], *op.fresh(i)[-count:]] for i in range(len(op.shapes))]

    return result


for _count in (1, 2, 3):
    for _name in ("avg_pool{}d", "_adaptive_avg_pool{}d", "adaptive_avg_pool{}d", "adaptive_max_pool{}d",
                  "max_pool{}d_with_indices", "max_pool{}d", "reflection_pad{}d", "replication_pad{}d",
                  "_upsample_nearest_exact{}d", "upsample_nearest{}d"):  # fmt: skip
        RULES[_name.format(_count)] = _spatial(_count)
for _name in ("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"):
    RULES[_name] = _spatial(2)
RULES["upsample_linear1d"], RULES["upsample_trilinear3d"] = _spatial(1), _spatial(3)


@rule("_prelu_kernel", "where", "masked_fill", "rrelu", "lerp", "addcmul", "addcdiv", "erf", "gelu", "elu", "celu",
      "selu", "hardtanh", "softplus", "logit", "threshold", "native_dropout_backward")  # fmt: skip
def _elementwise(op: Operation) -> Results:
    return pointwise(op)
