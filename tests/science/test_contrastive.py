from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mobilemamba.assigner import Assignment, Targets
from mobilemamba.config import load_config
from mobilemamba.losses.contrastive import (
    ContrastConfig,
    background_points,
    contrast,
    flaw_points,
    negative_weights,
    true_boxes,
    wrong_predictions,
)
from mobilemamba.train import BEST, LAST, Observer, Trainer

X, Y = [1.0, 0.0], [0.0, 1.0]
ALL_HARD = ContrastConfig(temperature=1.0, hard_share=1.0)


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values).reshape(-1, 2)


def test_known_value_of_two_flaws_and_one_negative() -> None:
    """Partners at similarity 1, the negative at 0: -log(e / (e + 1)) for either anchor."""
    value = contrast(rows(X, X), torch.tensor([0, 0]), rows(Y), ALL_HARD)
    assert value.item() == pytest.approx(-math.log(math.e / (math.e + 1)))


def test_temperature_and_weight_enter_as_the_formula_says() -> None:
    config = ContrastConfig(temperature=0.5, hard_share=0.0, easy_weight=0.25)
    value = contrast(rows(X, X), torch.tensor([0, 0]), rows(Y, Y), config)
    e2 = math.exp(2)
    assert value.item() == pytest.approx(-math.log(e2 / (e2 + 2 * 0.25)), rel=1e-5)


def test_each_anchor_averages_over_its_own_class() -> None:
    anchors = rows(X, X, Y)
    value = contrast(anchors, torch.tensor([0, 0, 0]), rows([-1.0, 0.0]), ALL_HARD)
    e, ie = math.e, math.exp(-1)

    def pair(similarity: float, negative: float) -> float:
        return -math.log(math.exp(similarity) / (math.exp(similarity) + negative))

    first = (pair(1, ie) + pair(0, ie)) / 2
    third = pair(0, 1.0)
    assert value.item() == pytest.approx((2 * first + third) / 3, rel=1e-5)
    other = contrast(anchors, torch.tensor([0, 0, 1]), rows([-1.0, 0.0]), ALL_HARD)
    assert other.item() == pytest.approx(-math.log(e / (e + ie))), "a class of one has no partner"


@pytest.mark.parametrize(
    ("anchors", "class_ids", "negatives"),
    [
        pytest.param(rows(), [], rows(X), id="no flaws"),
        pytest.param(rows(X), [0], rows(Y), id="one flaw"),
        pytest.param(rows(X, Y), [0, 1], rows(Y), id="no two of a class"),
        pytest.param(rows(X, X), [0, 0], rows(), id="no negatives"),
        pytest.param(rows(), [], rows(), id="nothing at all"),
    ],
)
def test_nothing_to_compare_is_zero_and_still_differentiable(anchors, class_ids, negatives) -> None:
    anchors.requires_grad_()
    value = contrast(anchors, torch.tensor(class_ids, dtype=torch.int64), negatives, ALL_HARD)
    assert value.item() == 0
    value.backward()
    assert not anchors.grad.any()


@pytest.mark.parametrize(
    ("hard_share", "expected"),
    [(0.0, [0.1, 0.1, 0.1, 0.1]), (0.25, [0.1, 1, 0.1, 0.1]), (1.0, [1, 1, 1, 1])],
)
def test_the_negatives_most_like_a_flaw_carry_the_weight(hard_share: float, expected) -> None:
    negatives = rows([-1.0, 0.0], [0.8, 0.6], [0.0, -1.0], [0.6, -0.8])
    assert negative_weights(rows(X), negatives, hard_share, 0.1).tolist() == pytest.approx(expected)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    anchors = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    negatives = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    ids = torch.tensor([0, 1, 0, 1, 0])
    config = ContrastConfig(temperature=0.7, hard_share=0.5)
    assert torch.autograd.gradcheck(lambda a, n: contrast(a, ids, n, config), (anchors, negatives))


def test_descent_parts_flaws_from_look_alikes() -> None:
    torch.manual_seed(0)
    raw = torch.randn(24, 8, requires_grad=True)
    ids = torch.arange(12) % 2
    optimizer = torch.optim.Adam([raw], lr=0.1)
    for _ in range(80):
        unit = F.normalize(raw, dim=-1)
        loss = contrast(unit[:12], ids, unit[12:], ContrastConfig(temperature=0.2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    unit = F.normalize(raw.detach(), dim=-1)
    likeness = unit[:12] @ unit.T
    own = likeness[:, :12][ids[:, None] == ids[None]].mean()
    assert own > 0.9
    assert likeness[:, 12:].max() < 0.5


POINTS = torch.tensor([[4.0, 4.0], [12.0, 4.0], [4.0, 12.0], [12.0, 12.0]])
FEATURES = F.normalize(torch.arange(24.0).reshape(2, 4, 3) + 1, dim=-1)


def targets(*boxes: list[float]) -> Targets:
    """One box a picture in a batch of two; an empty list is a picture without a flaw."""
    return Targets(
        torch.tensor([[b or [0.0] * 4] for b in boxes]),
        torch.ones(2, 1, dtype=torch.int64),
        torch.tensor([[bool(b)] for b in boxes]),
    )


def test_flaw_points_and_true_boxes_come_from_the_assignment() -> None:
    positive = torch.tensor([[True, True, False, False], [False] * 4])
    class_scores = torch.zeros(2, 4, 3)
    class_scores[0, 0, 1] = 0.9  # the second point's box misses its true one: all its targets are 0
    ids = torch.zeros(2, 4, dtype=torch.int64)
    assignment = Assignment(torch.zeros(2, 4, 4), class_scores, ids, positive)
    truth = targets([0.0, 0, 16, 8], [])
    features, class_ids = flaw_points(FEATURES, assignment, truth)
    assert features.equal(FEATURES[0, :2])
    assert class_ids.tolist() == [1, 1]
    boxes, box_classes = true_boxes(FEATURES, assignment, truth)
    assert torch.allclose(boxes, F.normalize(FEATURES[0, :2].sum(0, keepdim=True), dim=-1))
    assert box_classes.tolist() == [1]


def test_background_is_what_lies_outside_every_box() -> None:
    found = background_points(FEATURES, POINTS, targets([0.0, 0, 8, 16], []), most=100)
    assert found.equal(torch.cat((FEATURES[0, [1, 3]], FEATURES[1])))
    few = background_points(FEATURES, POINTS, targets([0.0, 0, 8, 16], []), most=3)
    assert few.equal(found[[0, 2, 4]]), "evenly spread, not the first ones"


def test_wrong_predictions_are_confident_and_hit_nothing() -> None:
    boxes = torch.tensor([[[0.0, 0, 8, 16], [20, 20, 30, 30], [1, 0, 9, 16], [20, 20, 30, 30]]] * 2)
    scores = torch.tensor([[[0.9], [0.9], [0.9], [0.01]]] * 2)
    found = wrong_predictions(
        FEATURES, boxes, scores, targets([0.0, 0, 8, 16], []), ContrastConfig()
    )
    assert found.equal(torch.cat((FEATURES[0, [1]], FEATURES[1, :3])))


@pytest.mark.timeout(120)
def test_a_contrastive_run_resumes_exactly_and_leaves_nothing_in_the_network(
    config_file, same_checkpoint, tmp_path: Path
) -> None:
    config = config_file(
        "[contrast]\nbackground_weight = 0.5\nprediction_weight = 0.5\nwarmup_epochs = 1\n"
        "confident_score = 0.0001"
    )
    reports = []

    def trainer(folder: str) -> Trainer:
        return Trainer(
            load_config(config), tmp_path / folder, torch.device("cpu"), clock=lambda: 0.0
        )

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    trainer("whole").run(Observer(lambda *_: None, reports.append))
    assert reports[-1].losses["background"] > 0
    assert reports[-1].losses["predictions"] > 0
    with pytest.raises(KeyboardInterrupt):
        trainer("broken").run(Observer(lambda *_: None, interrupt))
    again = trainer("broken")
    again.resume(tmp_path / "broken" / LAST)
    again.run(Observer(lambda *_: None, reports.append))
    assert same_checkpoint(tmp_path / "whole" / LAST, tmp_path / "broken" / LAST)
    assert (tmp_path / "whole" / BEST).exists()
    plain = replace(load_config(config), contrast=ContrastConfig())
    names = Trainer(plain, tmp_path / "plain", torch.device("cpu")).network.state_dict().keys()
    assert again.network.state_dict().keys() == names, "the projection is no part of the network"
