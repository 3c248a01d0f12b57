"""Tall factors seen through small matrices, so that a child costs two passes over its parents.

Lay the parents' factors of one layer side by side: A [k, in] and B [out, k], with k the sum of
their ranks. Every operator that acts on dW is a small matrix X [k, k]: the child's product is the
best rank-r approximation of B X A. With any R_a, R_b that satisfy R_a^T R_a = A A^T and
R_b^T R_b = B^T B, the small matrix C = R_b X R_a^T = W S Z^T has the singular values of B X A, and

    U = B (X R_a^T Z / S),    Vh = (W^T R_b X / S) A.

So the first pass takes R_a and R_b, the second multiplies the factors by k x r coefficients, and
nothing in between is larger than k x k. Two routes lead to R:

- *Gram*: R is a Cholesky factor of A A^T and B^T B, summed in double precision. Matrix products
  only. Squaring halves the digits: what is below `GRAM_FLOOR` of |A| |B| counts as zero.
- *QR*: Householder QR in double precision. Slower on long factors, exact on any. It serves double
  precision factors, small layers, and those that leave the Gram route without r directions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from redqueen.evolution.factors import Child, Factors, ThinSVD, shape_groups, to_factors

GRAM_FROM = 4096
"""Least in + out of a layer that takes the Gram route."""
GRAM_FLOOR = 1e-7
"""Singular values that the Gram route tells from zero, relative to |A| |B| (Frobenius)."""
QR_FLOOR = 1e-13
"""The same of the QR route."""
CHUNK = 4096
"""Columns of A, or rows of B, in double precision at a time: they stay in the cache."""


class Components(NamedTuple):
    """Singular components of one parent: B left = U diag(S), right A = diag(S) Vh.

    left is [L, r, m], S [L, m] falling, right [L, m, r], on the CPU in double precision. `inverse`
    is 1 / S, and 0 where S is zero to working precision. Component j of the parent is
    B (left_j right_j / S_j) A, with the sign that makes the largest entry of right_j positive.
    """

    left: Tensor
    S: Tensor
    right: Tensor
    inverse: Tensor

    def weighted(self, weight_Lm: Tensor) -> Tensor:
        """Return the X [L, r, r] of the sum of all components, each times its weight."""
        return self.left * (weight_Lm * self.inverse)[..., None, :] @ self.right


@dataclass(frozen=True, slots=True)
class Frame:
    """L layers of equal shape with the factors of all parents side by side.

    R_a and R_b are [L, at most k, k], double precision, on the CPU. `bases` are Q_a^T [L, ., in]
    and Q_b [L, out, .] of the QR route, None for the Gram route.
    """

    pairs: tuple[tuple[tuple[Tensor, Tensor], ...], ...]
    """By layer and parent: A [r, in], B [out, r]."""
    rank: int
    R_a: Tensor
    R_b: Tensor
    bases: tuple[Tensor, Tensor] | None

    def live(self, values_Lm: Tensor) -> Tensor:
        """Return [L, m]: which singular values of a product are not zero to working precision."""
        share = QR_FLOOR if self.bases else GRAM_FLOOR
        norms = torch.linalg.matrix_norm(self.R_a) * torch.linalg.matrix_norm(self.R_b)
        above: Tensor = values_Lm > share * norms[:, None]
        return above

    def identity(self) -> Tensor:
        """Return the X [L, r, r] of one parent left as it is."""
        return torch.eye(self.rank, dtype=torch.float64).repeat(len(self.pairs), 1, 1)

    def components(self, parent: int) -> Components:
        """Return the parent's singular components; m = min(r, in, out)."""
        block = slice(parent * self.rank, (parent + 1) * self.rank)
        R_a, R_b = self.R_a[..., block], self.R_b[..., block]
        if R_a.shape[-1] < self.R_a.shape[-1]:
            # A block of columns is taller than wide: only its triangle matters.
            R_a, R_b = torch.linalg.qr(R_a, mode="r").R, torch.linalg.qr(R_b, mode="r").R
        W, S, Zh = torch.linalg.svd(R_b @ R_a.mT, full_matrices=False)
        S = S.where(self.live(S), 0.0)
        left, right = R_a.mT @ Zh.mT, W.mT @ R_b
        # A pair of singular vectors has no sign of its own, and LAPACK's hangs on the last bit.
        largest = right.gather(-1, right.abs().argmax(-1, keepdim=True))
        sign = torch.where(largest < 0, -1.0, 1.0)
        return Components(left * sign.mT, S, right * sign, S.reciprocal().where(S > 0, 0.0))

    def child(self, X: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each layer's factors of the best rank-r approximation of B X A; X is [L, k, k]."""
        like_a, like_b = self.pairs[0][0]
        W, S, Zh = torch.linalg.svd(self.R_b @ X @ self.R_a.mT, full_matrices=False)
        W, S, Zh = W[..., : self.rank], S[..., : self.rank], Zh[..., : self.rank, :]
        live = self.live(S)
        S = S.where(live, 0.0)
        if self.bases is not None:
            A, B = to_factors(ThinSVD(W, S, Zh), self.rank)
            Q_a, Q_b = self.bases
            A, B = (A.to(Q_a) @ Q_a).to(like_a), (Q_b @ B.to(Q_b)).to(like_b)
            return [(A[i], B[i]) for i in range(len(A))]
        inverse = S.reciprocal().where(live, 0.0)
        left = X @ self.R_a.mT @ Zh.mT * inverse[:, None, :]
        right = inverse[:, :, None] * (W.mT @ self.R_b @ X)
        again = [i for i in range(len(S)) if not _complete(right[i], live[i], self.R_a[i])]
        children = self._multiply(to_factors(ThinSVD(left, S, right), self.rank))
        if again:
            redone = qr_frame([self.pairs[i] for i in again]).child(X[again])
            for i, pair in zip(again, redone, strict=True):
                children[i] = pair
        return children

    def _multiply(self, coefficients: tuple[Tensor, Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Coefficients [L, r, k] times each layer's A [k, in], and B [out, k] times [L, k, r].

        Single precision is enough here: the coefficients are exact, and the factors are no better.
        """
        a, b = self.pairs[0][0]
        L, r, P = len(self.pairs), self.rank, len(self.pairs[0])
        left_LrPr = coefficients[0].to(a.device, torch.float32).reshape(L, r, P, r)
        right_LPrr = coefficients[1].to(b.device, torch.float32).reshape(L, P, r, r)
        children = []
        for i, pair in enumerate(self.pairs):
            A = torch.empty(a.shape, device=a.device)
            B = torch.empty(b.shape, device=b.device)
            for p, (parent_A, parent_B) in enumerate(pair):
                # beta = 0 ignores what the fresh memory holds
                A.addmm_(left_LrPr[i, :, p], parent_A.float(), beta=min(p, 1))
                B.addmm_(parent_B.float(), right_LPrr[i, p], beta=min(p, 1))
            children.append((A.to(a.dtype), B.to(b.dtype)))
        return children


def _complete(right: Tensor, live: Tensor, R_a: Tensor) -> bool:
    """Fill the rows of `right` [r, k] that belong to zero components; False if A has too few.

    Their columns of B are zero, so any row will do for the product; but a child learns through
    them, so they become the strongest directions of A's rows that the live components leave over.
    With c the live rows, the eigenvectors e of G - G c^T c G (G = A A^T), eigenvalue l, give the
    orthonormal rows (e - c^T c G e) / sqrt(l).
    """
    missing = int((~live).sum())
    if missing == 0:
        return True
    G, c = R_a.mT @ R_a, right[live]
    taken = c.mT @ (c @ G)
    values, vectors = torch.linalg.eigh(G - G @ taken)
    values, vectors = values[-missing:], vectors[:, -missing:]
    if not bool((values > GRAM_FLOOR * G.trace()).all()):
        return False
    right[~live] = ((vectors - taken @ vectors) / values.sqrt()).mT.flip(0)
    return True


def _gram(blocks: Sequence[Tensor], work: Tensor) -> Tensor:
    """Return M M^T [k, k], M [k, n] the blocks [., n] stacked; `work` is [k, CHUNK], double."""
    k, n = work.shape[0], blocks[0].shape[1]
    total = work.new_zeros((k, k))
    for begin in range(0, n, CHUNK):
        width = min(CHUNK, n - begin)
        top = 0
        for block in blocks:
            work[top : top + len(block), :width].copy_(block[:, begin : begin + width])
            top += len(block)
        total.addmm_(work[:, :width], work[:, :width].mT)
    return total


def _grams(layers: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return M M^T of each layer's blocks, [L, k, k] on the CPU, in double precision."""
    first = layers[0]
    k, device = sum(block.shape[0] for block in first), first[0].device
    shape = (k, min(CHUNK, first[0].shape[1]))
    # The chunk lies in memory as the factors do: B is [out, r], seen here as [r, out].
    across = first[0].stride(0) < first[0].stride(1)
    work = torch.empty(shape[::-1] if across else shape, dtype=torch.float64, device=device)
    work = work.mT if across else work
    return torch.stack([_gram(blocks, work) for blocks in layers]).cpu()


def _root(gram: Tensor) -> Tensor:
    """Return R [L, k, k] with R^T R = gram: by Cholesky, or eigenvectors where it is singular."""
    R: Tensor
    R, failed = torch.linalg.cholesky_ex(gram, upper=True)
    singular = failed > 0
    if bool(singular.any()):
        values, vectors = torch.linalg.eigh(gram[singular])
        R[singular] = values.clamp_min(0.0).sqrt()[..., None] * vectors.mT
    return R


def gram_frame(pairs: Sequence[tuple[tuple[Tensor, Tensor], ...]]) -> Frame:
    """Return the frame of L layers by matrix products alone."""
    R_a = _root(_grams([[a for a, _ in pair] for pair in pairs]))
    R_b = _root(_grams([[b.mT for _, b in pair] for pair in pairs]))
    return Frame(tuple(pairs), pairs[0][0][0].shape[-2], R_a, R_b, None)


def qr_frame(pairs: Sequence[tuple[tuple[Tensor, Tensor], ...]]) -> Frame:
    """Return the frame of L layers by Householder QR."""
    A = torch.stack([torch.cat([a for a, _ in pair]) for pair in pairs]).double()
    B = torch.stack([torch.cat([b for _, b in pair], dim=-1) for pair in pairs]).double()
    Q_a, R_a = torch.linalg.qr(A.mT)
    Q_b, R_b = torch.linalg.qr(B)
    return Frame(tuple(pairs), pairs[0][0][0].shape[-2], R_a.cpu(), R_b.cpu(), (Q_a.mT, Q_b))


def make_frame(pairs: Sequence[tuple[tuple[Tensor, Tensor], ...]]) -> Frame:
    """Return the frame of L layers by the route that suits their size and type."""
    a, b = pairs[0][0]
    k = sum(pair[0].shape[-2] for pair in pairs[0])
    shortest, both = min(a.shape[-1], b.shape[-2]), a.shape[-1] + b.shape[-2]
    wide = shortest >= k and both >= GRAM_FROM and a.dtype != torch.float64
    return gram_frame(pairs) if wide else qr_frame(pairs)


@torch.no_grad()
def recombine(parents: Sequence[Factors], core: Callable[[Frame], Tensor]) -> Child:
    """Return the child whose product is the best rank-r approximation of B X A, X = core(frame).

    `core` is called once for each shape of layer, in the parents' order, and returns [L, k, k] in
    double precision on the CPU. Nothing of the size of dW is ever formed, nor any copy of a whole
    adapter. The child has the parents' shapes, types and devices, and shares no memory with them.

    Raises:
        ValueError: the parents do not have the same layers with the same shapes.
    """
    child: Child = {}
    for names in shape_groups(parents):
        frame = make_frame([tuple(parent[name] for parent in parents) for name in names])
        child |= zip(names, frame.child(core(frame)), strict=True)
    return {name: child[name] for name in parents[0]}


def side_by_side(cores: Sequence[Tensor]) -> Tensor:
    """Return the X [L, k, k] of the sum of the parents' X [L, r, r]."""
    L, r = len(cores[0]), cores[0].shape[-1]
    X = cores[0].new_zeros((L, r * len(cores), r * len(cores)))
    for i, core in enumerate(cores):
        block = slice(i * r, (i + 1) * r)
        X[:, block, block] = core
    return X


def weighted_sum(parents: Sequence[Factors], weights: Sequence[float]) -> Child:
    """Return the best rank-r approximation of the weighted sum of the parents' updates.

    Raises:
        ValueError: the parents do not have the same layers with the same shapes.
    """
    return recombine(
        parents, lambda frame: side_by_side([weight * frame.identity() for weight in weights])
    )
