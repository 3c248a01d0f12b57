"""Kernels over whole texts on a CPU, with their gradients.

One pass over memory each, where a chain of the library's operations takes five to ten; and
attention over exactly the tokens that a token may see, without padding, copies or masks.

Suffixes: N tokens, I in, F inner, O out, H heads, X heads of keys and values, D head size.
"""

import numpy as np

from redqueen.engines.cpu.compiled.basics import LOG2E, compiled, exp2, narrow, norm, wide


@compiled
def norm_texts(x_NI, weight_I, epsilon, out_NI, scale_N):
    """Normalise every token; keeps what multiplied it."""
    for n in range(len(x_NI)):
        scale_N[n] = norm(x_NI[n], weight_I, epsilon, out_NI[n])


@compiled
def norm_texts_gradient(x_NI, weight_I, scale_N, grad_NI, slope_NI):
    """y = w x s with s = (mean x² + ε)^-1/2, so dx = s (w g - x s · mean(w g · x s))."""
    for n in range(len(x_NI)):
        x_I, grad_I, slope_I, scale = x_NI[n], grad_NI[n], slope_NI[n], scale_N[n]
        total = np.float32(0)
        for i in range(len(x_I)):
            total += wide(grad_I[i]) * wide(weight_I[i]) * wide(x_I[i])
        mean = total * scale * scale / np.float32(len(x_I))
        for i in range(len(x_I)):
            slope = wide(grad_I[i]) * wide(weight_I[i]) - wide(x_I[i]) * mean
            slope_I[i] = narrow(slope_I, scale * slope)


@compiled
def _sigmoid(x):
    small = exp2(-abs(x) * LOG2E)
    one = np.float32(1) / (np.float32(1) + small)
    return one if x >= 0 else small * one


@compiled
def swiglu_texts(gate_up_NF, out_NF):
    """silu(gate) * up (arXiv 2002.05202) of [gate | up]."""
    half = np.uintp(out_NF.shape[1])
    for n in range(len(out_NF)):
        gate_up_F, out_F = gate_up_NF[n], out_NF[n]
        for f in range(half):
            gate = wide(gate_up_F[f])
            silu = wide(narrow(out_F, gate * _sigmoid(gate)))
            out_F[f] = narrow(out_F, silu * wide(gate_up_F[half + f]))


@compiled
def swiglu_texts_gradient(gate_up_NF, grad_NF, slope_NF):
    """silu'(g) = σ(g) (1 + g (1 - σ(g)))."""
    half = np.uintp(grad_NF.shape[1])
    for n in range(len(grad_NF)):
        gate_up_F, grad_F, slope_F = gate_up_NF[n], grad_NF[n], slope_NF[n]
        for f in range(half):
            gate, up, grad = wide(gate_up_F[f]), wide(gate_up_F[half + f]), wide(grad_F[f])
            sigmoid = _sigmoid(gate)
            slope = sigmoid * (np.float32(1) + gate * (np.float32(1) - sigmoid))
            slope_F[f] = narrow(slope_F, grad * up * slope)
            slope_F[half + f] = narrow(slope_F, grad * gate * sigmoid)


@compiled
def heads_texts(qkv_NHD, cosine_ND, sine_ND, query_NHD, key_NXD, value_NXD):
    """Query and key heads rotated (arXiv 2104.09864, halves paired), value heads as they are."""
    heads, kv_heads, size = query_NHD.shape[1], key_NXD.shape[1], query_NHD.shape[2]
    half = np.uintp(size // 2)
    for n in range(len(qkv_NHD)):
        cosine_D, sine_D = cosine_ND[n], sine_ND[n]
        for h in range(heads + kv_heads):
            head_D = qkv_NHD[n, h]
            out_D = query_NHD[n, h] if h < heads else key_NXD[n, h - heads]
            for d in range(half):
                one, two = wide(head_D[d]), wide(head_D[half + d])
                product = wide(narrow(out_D, one * wide(cosine_D[d])))
                out_D[d] = narrow(out_D, product - two * wide(sine_D[d]))
                product = wide(narrow(out_D, two * wide(cosine_D[half + d])))
                out_D[half + d] = narrow(out_D, product + one * wide(sine_D[half + d]))
        for h in range(kv_heads):
            head_D, out_D = qkv_NHD[n, heads + kv_heads + h], value_NXD[n, h]
            for d in range(size):
                out_D[d] = head_D[d]


@compiled
def heads_texts_gradient(grads, cosine_ND, sine_ND, slope_NHD):
    """The rotation backwards, into one gradient for all heads."""
    query_NHD, key_NXD, value_NXD = grads
    heads, kv_heads, size = query_NHD.shape[1], key_NXD.shape[1], query_NHD.shape[2]
    half = np.uintp(size // 2)
    for n in range(len(slope_NHD)):
        cosine_D, sine_D = cosine_ND[n], sine_ND[n]
        for h in range(heads + kv_heads):
            grad_D = query_NHD[n, h] if h < heads else key_NXD[n, h - heads]
            slope_D = slope_NHD[n, h]
            for d in range(half):
                one, two = wide(grad_D[d]), wide(grad_D[half + d])
                slope = one * wide(cosine_D[d]) + two * wide(sine_D[half + d])
                slope_D[d] = narrow(slope_D, slope)
                slope = two * wide(cosine_D[half + d]) - one * wide(sine_D[d])
                slope_D[half + d] = narrow(slope_D, slope)
        for h in range(kv_heads):
            grad_D, slope_D = value_NXD[n, h], slope_NHD[n, heads + kv_heads + h]
            for d in range(size):
                slope_D[d] = grad_D[d]


# ── attention ───────────────────────────────────────────────────────────────────────────────
#
# A stretch is [first, last + 1, first of its prompt, last of its prompt + 1] in token numbers. Its
# tokens see all of the prompt and, causally, the stretch. For one head at a time its states are
# copied out in float32, key number 0 being the prompt's first, so that a stretch is a few products
# of matrices which stay in the caches. Those are BLAS's; half of each product over the stretch's
# own tokens is computed for nothing.


@compiled
def _gather(state_NXD, first, count, head, scale, out_TD, place):
    """`count` tokens' states of one head, times `scale`, from row `place` on."""
    for t in range(count):
        for d in range(out_TD.shape[1]):
            out_TD[place + t, d] = wide(state_NXD[first + t, head, d]) * scale


@compiled
def _scatter(sum_TD, scale, out_NXD, head, before, prompt, start):
    """Add what is known of the tokens that a stretch sees to theirs, of one head."""
    for t in range(len(sum_TD)):
        token = before + t if t < prompt else start + t - prompt
        for d in range(sum_TD.shape[1]):
            out_NXD[token, head, d] += sum_TD[t, d] * scale


@compiled
def _sizes(stretches):
    """The most tokens of a stretch, and the most that one sees."""
    tokens, seen = 0, 0
    for m in range(len(stretches)):
        own = stretches[m, 1] - stretches[m, 0]
        tokens = max(tokens, own)
        seen = max(seen, own + stretches[m, 3] - stretches[m, 2])
    return tokens, seen


@compiled
def attend_texts(query_NHD, key_NXD, value_NXD, stretches, scale, out_NHD, total_NH):
    """Softmax attention; keeps the base-2 logarithm of each query's sum of exponentials."""
    heads, size, kv_heads = query_NHD.shape[1], query_NHD.shape[2], key_NXD.shape[1]
    share, scale, one = heads // kv_heads, np.float32(scale) * LOG2E, np.float32(1)
    tokens, most = _sizes(stretches)
    key_TD, value_TD = np.empty((most, size), np.float32), np.empty((most, size), np.float32)
    query_ND, sum_ND = np.empty((tokens, size), np.float32), np.empty((tokens, size), np.float32)
    room = np.empty(tokens * most, np.float32)
    for m in range(len(stretches)):
        start, count = stretches[m, 0], stretches[m, 1] - stretches[m, 0]
        before, prompt = stretches[m, 2], stretches[m, 3] - stretches[m, 2]
        seen = prompt + count
        weight_NT = room[: count * seen].reshape(count, seen)
        for head in range(heads):
            if head % share == 0:
                kv_head = head // share
                _gather(key_NXD, before, prompt, kv_head, one, key_TD, 0)
                _gather(key_NXD, start, count, kv_head, one, key_TD, prompt)
                _gather(value_NXD, before, prompt, kv_head, one, value_TD, 0)
                _gather(value_NXD, start, count, kv_head, one, value_TD, prompt)
            _gather(query_NHD, start, count, head, scale, query_ND, 0)
            np.dot(query_ND[:count], key_TD[:seen].T, weight_NT)
            for n in range(count):
                weight_T, last = weight_NT[n], prompt + n + 1
                top = np.float32(-np.inf)
                for t in range(last):
                    top = max(top, weight_T[t])
                total = np.float32(0)
                for t in range(last):
                    weight_T[t] = exp2(weight_T[t] - top)
                    total += weight_T[t]
                weight_T[last:] = 0
                total_NH[start + n, head] = top + np.log2(total)
                query_ND[n, 0] = total  # the query is not needed any more
            np.dot(weight_NT, value_TD[:seen], sum_ND[:count])
            for n in range(count):
                total = query_ND[n, 0]
                for d in range(size):
                    out_NHD[start + n, head, d] = narrow(out_NHD, sum_ND[n, d] / total)


@compiled
def attend_texts_gradient(
    query_NHD, key_NXD, value_NXD, stretches, scale, out_NHD, total_NH, grad_NHD, slopes
):
    """Gradients of queries, and of keys and values, which add up in float32.

    With weights p and scores s: dv = p g, dp = g · v, ds = p (dp - g · out), dq = ds k, dk = ds q,
    weights computed again (FlashAttention, arXiv 2205.14135, section 3.1).
    """
    slope_query_NHD, slope_key_NXD, slope_value_NXD = slopes
    heads, size, kv_heads = query_NHD.shape[1], query_NHD.shape[2], key_NXD.shape[1]
    share, scale, one = heads // kv_heads, np.float32(scale), np.float32(1)
    tokens, most = _sizes(stretches)
    key_TD, value_TD = np.empty((most, size), np.float32), np.empty((most, size), np.float32)
    query_ND, grad_ND = np.empty((tokens, size), np.float32), np.empty((tokens, size), np.float32)
    sum_ND, sum_TD = np.empty((tokens, size), np.float32), np.empty((most, size), np.float32)
    room = np.empty(tokens * most, np.float32)
    other = np.empty(tokens * most, np.float32)
    for m in range(len(stretches)):
        start, count = stretches[m, 0], stretches[m, 1] - stretches[m, 0]
        before, prompt = stretches[m, 2], stretches[m, 3] - stretches[m, 2]
        seen = prompt + count
        weight_NT = room[: count * seen].reshape(count, seen)
        slope_NT = other[: count * seen].reshape(count, seen)
        for head in range(heads):
            kv_head = head // share
            if head % share == 0:
                _gather(key_NXD, before, prompt, kv_head, one, key_TD, 0)
                _gather(key_NXD, start, count, kv_head, one, key_TD, prompt)
                _gather(value_NXD, before, prompt, kv_head, one, value_TD, 0)
                _gather(value_NXD, start, count, kv_head, one, value_TD, prompt)
            _gather(query_NHD, start, count, head, scale * LOG2E, query_ND, 0)
            _gather(grad_NHD, start, count, head, one, grad_ND, 0)
            np.dot(query_ND[:count], key_TD[:seen].T, weight_NT)
            np.dot(grad_ND[:count], value_TD[:seen].T, slope_NT)
            for n in range(count):
                weight_T, slope_T, last = weight_NT[n], slope_NT[n], prompt + n + 1
                total, inner = total_NH[start + n, head], np.float32(0)
                for d in range(size):
                    inner += grad_ND[n, d] * wide(out_NHD[start + n, head, d])
                for t in range(last):
                    weight = exp2(min(weight_T[t] - total, np.float32(0)))
                    weight_T[t] = weight
                    slope_T[t] = weight * (slope_T[t] - inner)
                weight_T[last:] = 0
                slope_T[last:] = 0
            np.dot(slope_NT, key_TD[:seen], sum_ND[:count])
            for n in range(count):
                for d in range(size):
                    slope = sum_ND[n, d] * scale
                    slope_query_NHD[start + n, head, d] = narrow(slope_query_NHD, slope)
            np.dot(weight_NT.T, grad_ND[:count], sum_TD[:seen])
            _scatter(sum_TD[:seen], one, slope_value_NXD, kv_head, before, prompt, start)
            np.dot(slope_NT.T, query_ND[:count], sum_TD[:seen])
            # The query was scaled for powers of two.
            _scatter(sum_TD[:seen], one / LOG2E, slope_key_NXD, kv_head, before, prompt, start)
