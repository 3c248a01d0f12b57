"""How unlike members are: in their updates of the weights, and in what they do.

Shapes: M members, C categories of behaviour. Distances are 0 for equals and 1 for members that
have nothing in common.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import rel_entr
from scipy.stats import entropy, hypergeom
from torch import Tensor

from redqueen.evolution.behaviour import Activity, BehaviourLog
from redqueen.population.population import BOTH_ROLES, Population
from redqueen.types import Member, Role, Verdict

Floats = NDArray[np.float64]
Adapter = Mapping[str, tuple[Tensor, Tensor]]
"""Layer name -> (A [r, in], B [out, r])."""

GROUPS: dict[str, tuple[Role, ...]] = {
    "teacher": (Role.TEACHER,),
    "student": (Role.STUDENT,),
    "self_play": BOTH_ROLES,
}
"""Members compete and breed with their own kind alone."""

VERDICTS = (Verdict.CORRECT, Verdict.WRONG, Verdict.MALFORMED)


# ── weights ─────────────────────────────────────────────────────────────────────────────────


@torch.no_grad()
def product_gram(adapters: Sequence[Adapter]) -> Floats:
    """Return the inner products [M, M] of the updates B A of adapters, summed over all layers.

    With all members' factors stacked, <B_i A_i, B_j A_j> = sum((B_i^T B_j) * (A_i A_j^T)) comes of
    two products of [M r, M r] a layer; no update is ever formed. Products are in the factors'
    precision and sums in double, which tells distances of 0.001 and more from 0.
    """
    M = len(adapters)
    if M == 0:
        return np.zeros((0, 0))
    device = next(iter(adapters[0].values()))[0].device
    gram_MM = torch.zeros(M, M, dtype=torch.float64, device=device)
    for name in adapters[0]:
        A_MRI, B_MOR = (torch.stack([a[name][i] for a in adapters]) for i in (0, 1))
        R = A_MRI.shape[1]
        A_NI, B_NO = A_MRI.reshape(M * R, -1), B_MOR.mT.reshape(M * R, -1)
        inner_NN = (A_NI @ A_NI.T).mul_(B_NO @ B_NO.T)
        gram_MM += inner_NN.view(M, R, M, R).sum((1, 3), dtype=torch.float64)
    gram: Floats = gram_MM.cpu().numpy()
    return (gram + gram.T) / 2


def weight_distances(gram_MM: Floats) -> Floats:
    """Return ||P_i - P_j|| / sqrt(||P_i||^2 + ||P_j||^2) [M, M], from the updates' inner products.

    0: equal; 1: orthogonal, as unrelated updates are; sqrt(2): opposite. Two updates of zero are
    equal.
    """
    square_M = np.diagonal(gram_MM)
    size_MM = square_M[:, None] + square_M
    change_MM = np.maximum(0.0, size_MM - 2.0 * gram_MM)
    np.fill_diagonal(change_MM, 0.0)
    distances_MM: Floats = np.sqrt(change_MM / np.where(size_MM > 0.0, size_MM, 1.0))
    return distances_MM


def cosine_kernel(gram_MM: Floats) -> Floats:
    """Return the cosines [M, M] of the updates; updates of zero are like each other alone."""
    norm_M = np.sqrt(np.diagonal(gram_MM))
    zero_M = norm_M == 0.0
    scale_M = np.where(zero_M, 1.0, norm_M)
    kernel_MM: Floats = gram_MM / scale_M[:, None] / scale_M
    kernel_MM[np.ix_(zero_M, zero_M)] = 1.0
    return kernel_MM


def effective_number(kernel_MM: Floats) -> float:
    """Return the Vendi score (Friedman and Dieng, "The Vendi Score", TMLR 2023).

    exp of the entropy of the eigenvalues of K / M, K a positive semi-definite similarity with ones
    on its diagonal: 1 if all are alike, M if none is like another. 0 of nobody.
    """
    if len(kernel_MM) == 0:
        return 0.0
    values_M = np.linalg.eigvalsh(kernel_MM / len(kernel_MM))
    kept = values_M[values_M > 1e-12]
    return float(np.exp(-(kept * np.log(kept)).sum()))


# ── behaviour ───────────────────────────────────────────────────────────────────────────────


def teacher_behaviour(activities: Sequence[Activity]) -> Floats:
    """Return counts [M, C] of the valid tasks that each wrote, by archive cell."""
    cells = sorted({cell for activity in activities for cell in activity.cells})
    counts = [[a.cells.get(cell, 0) for cell in cells] for a in activities]
    return np.array(counts, dtype=float).reshape(len(activities), len(cells))


def student_behaviour(activities: Sequence[Activity]) -> Floats:
    """Return shares [M, C] of each verdict within each task kind, every kind with the same weight.

    Which kinds a student met is not its doing. Where it met none of a kind that others met, it
    counts as their mean; a student without attempts has zeros.
    """
    kinds = sorted({kind for activity in activities for kind in activity.verdicts})
    counts_MKV = np.array(
        [
            [[a.verdicts.get(kind, {}).get(v.value, 0) for v in VERDICTS] for kind in kinds]
            for a in activities
        ],
        dtype=float,
    ).reshape(len(activities), len(kinds), len(VERDICTS))
    totals_MK1 = counts_MKV.sum(2, keepdims=True)
    pooled_KV = counts_MKV.sum(0) / counts_MKV.sum((0, 2))[:, None]
    shares_MKV = np.where(totals_MK1 > 0, counts_MKV / np.maximum(totals_MK1, 1.0), pooled_KV)
    shares_MKV[totals_MK1.sum((1, 2)) == 0] = 0.0
    shares_MC: Floats = shares_MKV.reshape(len(activities), len(kinds) * len(VERDICTS))
    return shares_MC


def divergences(behaviour_MC: Floats) -> Floats:
    """Return the Jensen-Shannon divergence [M, M] in bits between rows of weights.

    (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2 (Lin, "Divergence measures based on the
    Shannon entropy", 1991), in [0, 1]; nan for rows of zeros.
    """
    total_M1 = behaviour_MC.sum(1, keepdims=True)
    p_MC = behaviour_MC / np.where(total_M1 > 0, total_M1, 1.0)
    divergence_MM: Floats = np.zeros((len(p_MC), len(p_MC)))
    for row, p_C in enumerate(p_MC):  # row by row: all pairs at once would be M x M x C
        middle_MC = (p_C + p_MC) / 2
        divergence_MM[row] = (rel_entr(p_C, middle_MC) + rel_entr(p_MC, middle_MC)).sum(1)
    divergence_MM = np.clip(divergence_MM / (2.0 * math.log(2.0)), 0.0, 1.0)
    idle_M = total_M1[:, 0] == 0
    divergence_MM[idle_M, :] = divergence_MM[:, idle_M] = np.nan
    return divergence_MM


def style(counts_MC: Floats) -> float | None:
    """Return how much a task's category tells about its author: adjusted mutual information.

    (I - E[I]) / ((H(author) + H(category)) / 2 - E[I]), at most 1, with E[I] the expectation if
    authors were dealt to the tasks by chance (Vinh, Epps and Bailey, JMLR 2010). Around 0:
    all write alike. Unlike distances it does not mistake the noise of small counts for a
    difference. None with fewer than two authors; 0 if there is but one category.
    """
    counts_MC = counts_MC[counts_MC.sum(1) > 0][:, counts_MC.sum(0) > 0]
    if len(counts_MC) < 2:
        return None
    N = counts_MC.sum()
    a_M, b_C = counts_MC.sum(1), counts_MC.sum(0)
    information = float(rel_entr(counts_MC / N, np.outer(a_M, b_C) / N**2).sum())
    chance = _expected_information(a_M, b_C)
    ceiling = float(entropy(a_M) + entropy(b_C)) / 2 - chance
    if len(b_C) < 2 or ceiling <= 1e-12:
        return 0.0
    return (information - chance) / ceiling


def _expected_information(a_M: Floats, b_C: Floats) -> float:
    """Return the mean mutual information in nats of two random labellings with these counts.

    An author of a tasks and a category of b share n of N tasks with hypergeometric probability.
    """
    N = int(a_M.sum())
    expected = 0.0
    rows, row_times = np.unique(a_M.astype(int), return_counts=True)
    columns, column_times = np.unique(b_C.astype(int), return_counts=True)
    for a, times_a in zip(rows.tolist(), row_times.tolist(), strict=True):
        for b, times_b in zip(columns.tolist(), column_times.tolist(), strict=True):
            n = np.arange(max(1, a + b - N), min(a, b) + 1)
            terms = n / N * np.log(N * n / (a * b)) * hypergeom.pmf(n, N, a, b)
            expected += times_a * times_b * float(terms.sum())
    return expected


# ── the population ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Group:
    """Members of one kind, with what fitness and selection go by besides the ratings.

    Rows and columns of the distances are in the order of `compared`.
    """

    name: str
    members: tuple[Member, ...]
    compared: tuple[Member, ...]
    """All of them, or some of many."""
    activities: tuple[Activity, ...]
    """Since the last generation."""
    weights_MM: Floats
    """`weight_distances`."""
    behaviour_MM: Floats
    """Jensen-Shannon distances, the square root of `divergences`; nan without behaviour."""
    effective_weights: float
    """Effective number of members by their updates' cosine."""
    effective_behaviour: float
    """Effective number of members by their behaviour, of those that have any."""
    style: float | None
    """Of the teachers' tasks; None for students."""
    probe_M: Floats | None = None
    """What the probe of this step says of each; None: there was none."""

    def metrics(self) -> dict[str, float]:
        """Return `diversity/<group>/…`; a measure without two members to compare is missing."""
        flat = {}
        pairs = np.triu_indices(len(self.compared), 1)
        for name, distances_MM, effective in (
            ("weights", self.weights_MM, self.effective_weights),
            ("behaviour", self.behaviour_MM, self.effective_behaviour),
        ):
            measured = distances_MM[pairs]
            measured = measured[~np.isnan(measured)]
            if measured.size:
                flat[f"{name}_mean"] = float(measured.mean())
                flat[f"{name}_min"] = float(measured.min())
                flat[f"{name}_effective"] = effective
        if self.style is not None:
            flat["style"] = self.style
        return {f"diversity/{self.name}/{name}": value for name, value in flat.items()}


@dataclass(frozen=True, slots=True)
class Survey:
    """The groups that have members, at the end of a step and before any replacement."""

    groups: tuple[Group, ...]

    def metrics(self) -> dict[str, float]:
        """Return those of all groups."""
        return {k: v for group in self.groups for k, v in group.metrics().items()}


def _group(
    name: str,
    members: tuple[Member, ...],
    compared: tuple[Member, ...],
    log: BehaviourLog,
    adapter: Callable[[int], Adapter],
) -> Group:
    gram_MM = product_gram([adapter(member.slot) for member in compared])
    recent = [log.recent(member.id) for member in compared]
    teaches = Role.TEACHER in members[0].roles
    behaviour_MC = (teacher_behaviour if teaches else student_behaviour)(recent)
    divergence_MM = divergences(behaviour_MC)
    acted = np.flatnonzero(behaviour_MC.sum(1) > 0)
    return Group(
        name=name,
        members=members,
        compared=compared,
        activities=tuple(log.since_generation(member.id) for member in members),
        weights_MM=weight_distances(gram_MM),
        behaviour_MM=np.sqrt(divergence_MM),
        effective_weights=effective_number(cosine_kernel(gram_MM)),
        # 1 - JSD is positive semi-definite (Hein and Bousquet, AISTATS 2005).
        effective_behaviour=effective_number(1.0 - divergence_MM[np.ix_(acted, acted)]),
        style=style(behaviour_MC) if teaches else None,
    )


def survey(
    population: Population,
    log: BehaviourLog,
    adapter: Callable[[int], Adapter],
    most: int | None = None,
    played: Collection[int] = (),
) -> Survey:
    """Return how the members of each kind compare: their updates, and their recent behaviour.

    `adapter` gives a slot's factors. Of a kind with more than `most` members those are compared
    whose ids are in `played`, the first `most` of them.
    """
    groups = []
    for name, roles in GROUPS.items():
        members = population.with_roles(roles)
        if members:
            compared = members
            if most is not None and len(members) > most:
                compared = tuple(m for m in members if m.id in played)[:most]
            groups.append(_group(name, members, compared, log, adapter))
    return Survey(tuple(groups))
