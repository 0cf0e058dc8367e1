from __future__ import annotations

import math

import pytest
import torch

from mobilemamba.assigner import Assignment, Targets, TaskAlignedAssigner
from mobilemamba.geometry import complete_iou
from mobilemamba.head import Predictions
from mobilemamba.losses.contrastive import ContrastConfig
from mobilemamba.losses.detection import (
    DetectionWeights,
    detection_loss,
    distribution_focal_loss,
)
from mobilemamba.losses.picture import BORDER_LOGIT, picture_loss
from mobilemamba.objective import Objective

SQUARE = torch.tensor([0.0, 0.0, 10.0, 10.0])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param([0, 0, 10, 10], 1.0, id="the same box"),
        pytest.param([2.5, 2.5, 7.5, 7.5], 0.25, id="same centre and shape: plain IoU"),
        pytest.param([10, 0, 20, 10], 0 - 100 / 500, id="side by side: only the distance counts"),
        pytest.param([20, 0, 30, 10], 0 - 400 / 1000, id="further apart is worse"),
    ],
)
def test_complete_iou_of_known_boxes(other: list[float], expected: float) -> None:
    value = complete_iou(SQUARE, torch.tensor(other, dtype=torch.float32))
    assert float(value) == pytest.approx(expected, abs=1e-5)


def test_complete_iou_punishes_another_aspect() -> None:
    wide = torch.tensor([0.0, 2.5, 10.0, 7.5])
    aspect = 4 / math.pi**2 * (math.atan(1) - math.atan(2)) ** 2
    expected = 0.5 - aspect * aspect / (1 - 0.5 + aspect)
    assert float(complete_iou(wide, SQUARE)) == pytest.approx(expected, abs=1e-5)


def test_complete_iou_has_a_finite_gradient_even_for_a_flat_box() -> None:
    flat = torch.tensor([3.0, 4.0, 3.0, 9.0], requires_grad=True)
    complete_iou(flat, SQUARE).backward()
    assert torch.isfinite(flat.grad).all()


def test_distribution_focal_loss_is_the_entropy_of_the_two_neighbours() -> None:
    logits = torch.zeros(8)
    assert float(distribution_focal_loss(logits, torch.tensor(2.25))) == pytest.approx(math.log(8))
    sure = torch.full((8,), -50.0)
    sure[3] = 50.0
    assert float(distribution_focal_loss(sure, torch.tensor(3.0))) == pytest.approx(0.0, abs=1e-6)
    assert float(distribution_focal_loss(sure, torch.tensor(5.0))) > 50


def toy_predictions(classes: int = 2, seed: int = 0) -> Predictions:
    """A 64x64 input: 8x8 + 4x4 + 2x2 points."""
    generator = torch.Generator().manual_seed(seed)
    points, strides = [], []
    for stride in (8, 16, 32):
        centres = (torch.arange(64 // stride) + 0.5) * stride
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        points.append(torch.stack((x.flatten(), y.flatten()), -1))
        strides.append(torch.full((x.numel(),), float(stride)))
    count = sum(len(s) for s in strides)
    sides = torch.randn(2, 4, 16, count, generator=generator, requires_grad=True)
    logits = torch.randn(2, classes, count, generator=generator, requires_grad=True)
    return Predictions(sides, logits, torch.cat(points), torch.cat(strides), ())


def one_box(box: list[float], class_id: int = 1) -> Targets:
    boxes = torch.tensor([[box], [[0.0, 0, 0, 0]]])
    present = torch.tensor([[True], [False]])
    return Targets(boxes, torch.tensor([[class_id], [0]]), present)


def assign(predictions: Predictions, targets: Targets, **settings: float) -> Assignment:
    scores = predictions.class_logits.detach().sigmoid().transpose(1, 2)
    boxes = predictions.boxes_xyxy().detach()
    return TaskAlignedAssigner(**settings)(boxes, scores, predictions.points_xy, targets)


def test_only_points_inside_a_box_answer_for_it() -> None:
    predictions = toy_predictions()
    found = assign(predictions, one_box([8, 8, 40, 40]))
    chosen = predictions.points_xy[found.positive[0]]
    assert 1 <= len(chosen) <= 10
    assert ((chosen > 8) & (chosen < 40)).all()
    assert not found.positive[1].any(), "a padded row is no box"
    assert found.class_scores[0, :, 0].eq(0).all(), "only the box's class is asked for"
    assert found.boxes_xyxy[0][found.positive[0]].eq(torch.tensor([8.0, 8, 40, 40])).all()


def test_the_best_point_aims_at_the_best_overlap() -> None:
    predictions = toy_predictions()
    found = assign(predictions, one_box([8, 8, 40, 40]))
    overlap = complete_iou(torch.tensor([8.0, 8, 40, 40]), predictions.boxes_xyxy()[0].detach())
    best = overlap.clamp(min=0)[found.positive[0]].max()
    assert float(found.class_scores[0].max()) == pytest.approx(float(best), rel=1e-4)
    assert found.class_scores.max() <= 1


def test_a_flaw_smaller_than_the_finest_cell_still_gets_a_point() -> None:
    found = assign(toy_predictions(), one_box([15.0, 15.0, 17.0, 17.0]))
    assert found.positive[0].any()


def test_a_point_in_two_boxes_serves_the_one_it_overlaps_more() -> None:
    predictions = toy_predictions()
    boxes = torch.tensor([[[0.0, 0, 64, 64], [20, 20, 44, 44]], [[0, 0, 1, 1], [0, 0, 1, 1]]])
    present = torch.tensor([[True, True], [False, False]])
    targets = Targets(boxes, torch.tensor([[0, 1], [0, 0]]), present)
    found = assign(predictions, targets, top_k=84)
    inside = ((predictions.points_xy > 20) & (predictions.points_xy < 44)).all(-1)
    own = predictions.boxes_xyxy()[0].detach()
    overlap = complete_iou(boxes[0][:, None], own).clamp(min=0)
    wanted = overlap.argmax(0)
    both = inside & found.positive[0] & (overlap[0] != overlap[1])
    assert both.any()
    assert found.box_ids[0][both].equal(wanted[both])


@pytest.mark.parametrize("rows", [0, 1])
def test_pictures_without_flaws_teach_background_alone(rows: int) -> None:
    predictions = toy_predictions()
    targets = Targets(
        torch.zeros(2, rows, 4),
        torch.zeros(2, rows, dtype=torch.int64),
        torch.zeros(2, rows, dtype=torch.bool),
    )
    found = assign(predictions, targets)
    assert not found.positive.any()
    loss = detection_loss(predictions, predictions.boxes_xyxy(), found, DetectionWeights())
    loss.total.backward()
    assert loss.box.item() == 0
    assert loss.sides.item() == 0
    assert (predictions.class_logits.grad > 0).all(), "every score is pushed down"


def test_loss_is_small_for_right_predictions_and_falls_on_the_way() -> None:
    predictions = toy_predictions()
    targets = one_box([8, 8, 40, 40])
    optimizer = torch.optim.Adam([predictions.side_logits, predictions.class_logits], lr=0.2)
    totals = []
    for _ in range(150):
        boxes = predictions.boxes_xyxy()
        loss = detection_loss(predictions, boxes, assign(predictions, targets), DetectionWeights())
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        totals.append(loss.total.item())
    assert totals[-1] < 0.35 * totals[0]
    best = predictions.class_logits[0].sigmoid().amax(0).argmax()
    assert torch.allclose(predictions.boxes_xyxy()[0, best], targets.boxes_xyxy[0, 0], atol=1.0)


def test_total_is_the_weighted_sum_of_its_parts() -> None:
    predictions = toy_predictions()
    weights = DetectionWeights(box=2.0, classes=3.0, sides=5.0)
    found = assign(predictions, one_box([8, 8, 40, 40]))
    loss = detection_loss(predictions, predictions.boxes_xyxy(), found, weights)
    expected = 2 * loss.box + 3 * loss.classes + 5 * loss.sides
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_picture_is_judged_by_its_highest_score() -> None:
    logits = torch.full((2, 3, 5), -6.0)
    logits[0, 1, 2] = logits[1, 0, 4] = BORDER_LOGIT
    logits.requires_grad_()
    loss = picture_loss(logits, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)
    loss.backward()
    moved = logits.grad.nonzero().tolist()
    assert moved == [[0, 1, 2], [1, 0, 4]]
    assert logits.grad[0, 1, 2] < 0, "a flawed picture's is to rise"
    assert logits.grad[1, 0, 4] > 0, "a clean one's to fall"


def test_a_picture_well_on_its_side_of_the_border_hardly_counts() -> None:
    logits = torch.tensor([BORDER_LOGIT + 4, BORDER_LOGIT - 4]).reshape(2, 1, 1)
    right = picture_loss(logits, torch.tensor([True, False])).item()
    assert right < 0.001
    assert picture_loss(logits, torch.tensor([False, True])).item() > 7


def test_whether_a_picture_is_flawed_is_minimised_where_it_is_asked_for() -> None:
    predictions, targets = toy_predictions(), one_box([8, 8, 40, 40])
    without, asked = (
        Objective(DetectionWeights(picture=weight), ContrastConfig(), 8)(predictions, targets, 0.0)
        for weight in (0.0, 2.0)
    )
    assert "picture" not in without
    expected = picture_loss(predictions.class_logits, torch.tensor([True, False])).item()
    assert asked["picture"].item() == pytest.approx(expected)
    more = (asked["total"] - without["total"]).item()
    assert more == pytest.approx(2 * expected, rel=1e-4)
