"""Kernels for one token a row on a CPU.

While rows are being written, a layer's products are so small that calling the library for each of
its pieces costs more than the arithmetic, and rows differ in all that matters: adapter, prompt,
length. Here a row walks through all that lies between two products of the base's weights at
once, alone, with its own adapter and over exactly its own keys and values.

Suffixes are those of the package: R rows, I in, O out, H heads, X heads of keys and values, D head
size, N prompt tokens, T tokens of one row.
"""

import numpy as np

from redqueen.engines.cpu.compiled.basics import (
    LOG2E,
    add_product,
    compiled,
    exp2,
    narrow,
    norm,
    wide,
)

# ── parts of a row ──────────────────────────────────────────────────────────────────────────


@compiled
def _adapted(x_I, a, b, edges, slot, out_O, low, sum_O):
    """The output of layers side by side with this row's adapters, in `sum_O`, rounded like out_O.

    a [S, parts * rank, I] and b [S, rank, O]; part p of O lies between edges p and p + 1.
    """
    for o in range(len(sum_O)):
        sum_O[o] = wide(out_O[o])
    parts = len(edges) - 1
    if slot < 0 or parts == 0:
        return
    own_a, own_b = a[slot], b[slot]
    for j in range(len(own_a)):
        row = own_a[j]
        total = np.float32(0)
        for i in range(len(x_I)):
            total += wide(x_I[i]) * wide(row[i])
        low[j] = wide(narrow(x_I, total))
    rank = len(own_b)
    for part in range(parts):
        add_product(low, part * rank, rank, own_b, edges[part], edges[part + 1], sum_O)
    for o in range(len(sum_O)):
        sum_O[o] = wide(narrow(out_O, sum_O[o]))


@compiled
def _turn(sum_O, offset, cosine_D, sine_D, like):
    """Rotary embedding (arXiv 2104.09864) of the head at `offset` in place, halves paired."""
    half = np.uintp(len(cosine_D) // 2)
    offset = np.uintp(offset)
    for d in range(half):
        one, two = sum_O[offset + d], sum_O[offset + half + d]
        product = wide(narrow(like, one * wide(cosine_D[d])))
        sum_O[offset + d] = product - two * wide(sine_D[d])
        product = wide(narrow(like, two * wide(cosine_D[half + d])))
        sum_O[offset + half + d] = product + one * wide(sine_D[half + d])


@compiled
def _scores(query_HD, key_TXD, first, count, score_HT, place, top_H):
    """Products of a row's queries with `count` keys from `first` on, into score[:, place:].

    All heads of a key before the next key: that is how keys lie in memory.
    """
    share = len(query_HD) // key_TXD.shape[1]
    for t in range(count):
        for h in range(len(query_HD)):
            query_D, key_D = query_HD[h], key_TXD[first + t, h // share]
            total = np.float32(0)
            for d in range(len(query_D)):
                total += query_D[d] * wide(key_D[d])
            score_HT[h, place + t] = total
            top_H[h] = max(top_H[h], total)


@compiled
def _add_values(score_HT, place, value_TXD, first, count, sum_HD):
    """Add values with weights score[:, place:place + count], four tokens at a time."""
    share = len(sum_HD) // value_TXD.shape[1]
    even = count - count % 4
    for t in range(0, even, 4):
        at, put = first + t, place + t
        for h in range(len(sum_HD)):
            x = h // share
            w0, w1 = score_HT[h, put], score_HT[h, put + 1]
            w2, w3 = score_HT[h, put + 2], score_HT[h, put + 3]
            for d in range(sum_HD.shape[1]):
                sum_HD[h, d] += (
                    w0 * wide(value_TXD[at, x, d])
                    + w1 * wide(value_TXD[at + 1, x, d])
                    + w2 * wide(value_TXD[at + 2, x, d])
                    + w3 * wide(value_TXD[at + 3, x, d])
                )
    for t in range(even, count):
        for h in range(len(sum_HD)):
            w0 = score_HT[h, place + t]
            for d in range(sum_HD.shape[1]):
                sum_HD[h, d] += w0 * wide(value_TXD[first + t, h // share, d])


# ── rows ────────────────────────────────────────────────────────────────────────────────────


@compiled
def norm_rows(x_RI, weight_I, epsilon, out_RI):
    """Normalise every row into `out_RI`."""
    for r in range(len(x_RI)):
        norm(x_RI[r], weight_I, epsilon, out_RI[r])


@compiled
def heads_rows(
    x_RI,
    factors,
    slot_R,
    qkv_RO,
    norms,
    cosine_PD,
    sine_PD,
    position_R,
    query_RHD,
    key_RXD,
    value_RXD,
):
    """Queries, keys and values of every row, adapters added, normalised if asked for, rotated.

    `norms` is (query weight, key weight, epsilon), weights empty where the model has none.
    """
    a, b, edges = factors
    query_norm_D, key_norm_D, epsilon = norms
    heads, kv_heads, size = query_RHD.shape[1], key_RXD.shape[1], query_RHD.shape[2]
    none_D = key_norm_D[:0]
    low, sums = np.empty(a.shape[1], np.float32), np.empty(qkv_RO.shape[1], np.float32)
    for r in range(len(x_RI)):
        _adapted(x_RI[r], a, b, edges, slot_R[r], qkv_RO[r], low, sums)
        cosine_D, sine_D = cosine_PD[position_R[r]], sine_PD[position_R[r]]
        for h in range(heads + 2 * kv_heads):
            offset = np.uintp(h * size)
            if h < heads:
                out_D, weight_D = query_RHD[r, h], query_norm_D
            elif h < heads + kv_heads:
                out_D, weight_D = key_RXD[r, h - heads], key_norm_D
            else:
                out_D, weight_D = value_RXD[r, h - heads - kv_heads], none_D
            if len(weight_D):
                for d in range(np.uintp(size)):
                    out_D[d] = narrow(out_D, sums[offset + d])
                norm(out_D, weight_D, epsilon, out_D)
                for d in range(np.uintp(size)):
                    sums[offset + d] = wide(out_D[d])
            if h < heads + kv_heads:
                _turn(sums, offset, cosine_D, sine_D, out_D)
            for d in range(np.uintp(size)):
                out_D[d] = narrow(out_D, sums[offset + d])


@compiled
def attend_rows(
    query_RHD,
    states,
    prompts,
    start_R,
    length_R,
    own,
    row_R,
    written,
    scale,
    out_RHD,
):
    """Softmax attention of one query a row to its prompt, then to its own first `written` tokens.

    `prompts` holds keys and values [N, Hkv, D], of which a row reads `length` from `start` on;
    `own` those of the rows' tokens [rows, T, Hkv, D], of which it reads number `row`. The last
    token's `states` [R, Hkv, D] are written there first.
    """
    key_RXD, value_RXD = states
    (key_NXD, value_NXD), (key_BTXD, value_BTXD) = prompts, own
    heads, size = query_RHD.shape[1], query_RHD.shape[2]
    scale = np.float32(scale) * LOG2E
    score_HT = np.empty((heads, length_R.max() + written), np.float32)
    query_HD, sum_HD = np.empty((heads, size), np.float32), np.empty((heads, size), np.float32)
    top_H = np.empty(heads, np.float32)
    for r in range(len(query_RHD)):
        start, length = start_R[r], length_R[r]
        key_TXD, value_TXD = key_BTXD[row_R[r]], value_BTXD[row_R[r]]
        key_TXD[written - 1], value_TXD[written - 1] = key_RXD[r], value_RXD[r]
        for h in range(heads):
            top_H[h] = -np.inf
            for d in range(size):
                query_HD[h, d] = wide(query_RHD[r, h, d]) * scale
                sum_HD[h, d] = 0
        _scores(query_HD, key_NXD, start, length, score_HT, 0, top_H)
        _scores(query_HD, key_TXD, 0, written, score_HT, length, top_H)
        seen = length + written
        for h in range(heads):
            total, top = np.float32(0), top_H[h]
            for t in range(seen):
                score_HT[h, t] = exp2(score_HT[h, t] - top)
                total += score_HT[h, t]
            for t in range(seen):
                score_HT[h, t] /= total
        _add_values(score_HT, 0, value_NXD, start, length, sum_HD)
        _add_values(score_HT, length, value_TXD, 0, written, sum_HD)
        for h in range(heads):
            for d in range(size):
                out_RHD[r, h, d] = narrow(out_RHD, sum_HD[h, d])


@compiled
def residual_rows(
    x_RI,
    factors,
    slot_R,
    out_RO,
    residual_RO,
    weight_O,
    epsilon,
    normed_RO,
):
    """Add layer output and adapters to the residual stream, and normalise that."""
    a, b, edges = factors
    low, sums = np.empty(a.shape[1], np.float32), np.empty(out_RO.shape[1], np.float32)
    for r in range(len(x_RI)):
        _adapted(x_RI[r], a, b, edges, slot_R[r], out_RO[r], low, sums)
        residual_O = residual_RO[r]
        for o in range(len(sums)):
            residual_O[o] = narrow(residual_O, wide(residual_O[o]) + sums[o])
        norm(residual_O, weight_O, epsilon, normed_RO[r])


@compiled
def swiglu_rows(x_RI, factors, slot_R, gate_up_RO, out_RF):
    """silu(gate) * up (arXiv 2002.05202) of [gate | up] with adapters."""
    a, b, edges = factors
    low, sums = np.empty(a.shape[1], np.float32), np.empty(gate_up_RO.shape[1], np.float32)
    half = np.uintp(gate_up_RO.shape[1] // 2)
    for r in range(len(x_RI)):
        _adapted(x_RI[r], a, b, edges, slot_R[r], gate_up_RO[r], low, sums)
        out_F = out_RF[r]
        for o in range(half):
            gate = sums[o]
            small = exp2(-abs(gate) * LOG2E)
            rest = gate if gate >= 0 else gate * small
            silu = wide(narrow(out_F, rest / (np.float32(1) + small)))
            out_F[o] = narrow(out_F, silu * sums[half + o])
