"""The card of an artifact that was exported anew."""

from __future__ import annotations

from math import nan
from pathlib import Path
from types import SimpleNamespace

from flawspec.labels import LabelSet
from mobilemamba.card import _chosen, _data, _remake
from mobilemamba.carried_card import Derived, carried_over
from mobilemamba.operating_point import OperatingPoint

CARD = """# toy 0.1.0

| file | `toy-0.1.0.onnx`, 1.0 MB |
| sha256 | `00` |
| made | in a test |

```sh
mobilemamba train toy.toml --out runs/toy
mobilemamba export toy.toml runs/toy/best.safetensors --out models/artifacts
mobilemamba evaluate models/artifacts/toy-0.1.0.onnx --coco "$DATA/val.json" --images "$DATA" --json
```
"""


def anew(card: str, source: str, artifact: str, command: str) -> list[str]:
    made = Derived(
        Path(source), "toy", Path(artifact), "toy", "0.1.9", "11", 0, "| changed |", command
    )
    return carried_over(card, made).splitlines()


def test_the_commands_name_the_files_that_were_read_and_written() -> None:
    once, again = "mobilemamba reexport toy-0.1.0.onnx", "mobilemamba reexport toy-0.1.1.onnx"
    first = anew(CARD, "models/artifacts/toy-0.1.0.onnx", "my anew/toy-0.1.1.onnx", once)
    options = '--coco "$DATA/val.json" --images "$DATA" --json'
    assert first[-3:-1] == [once, f"mobilemamba evaluate 'my anew/toy-0.1.1.onnx' {options}"]
    second = anew("\n".join(first), "my anew/toy-0.1.1.onnx", "/srv/toy-0.1.2.onnx", again)
    assert second[-4:-1] == [
        once,
        again,
        f"mobilemamba evaluate /srv/toy-0.1.2.onnx {options}",
    ]


def test_figures_in_a_card_stay_those_of_the_artifact_that_they_were_measured_on() -> None:
    card = CARD.replace("```sh", "## Figures on val\n\nmAP50 0.5\n\n```sh")
    card = card.replace("| made ", "| PyTorch and ONNX Runtime | differ by 1e-06 |\n| made ")
    source, made = Path("toy-0.1.0.onnx"), Path("toy-0.1.1.onnx")
    for version in ("0.1.1", "0.1.2"):
        derived = Derived(
            *(source, "toy", made, "toy", version, "11", 10**6, "| changed |", "mobilemamba x"),
            section=(f"## Figures of {version}", "", "mAP50 0.4"),
        )
        card = carried_over(card, derived)
        assert "| PyTorch and ONNX Runtime of `toy-0.1.0.onnx` | differ by 1e-06 |" in card
        source, made = made, Path("toy-0.1.2.onnx")
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert headings == [
        "# toy 0.1.2",
        "## Figures of 0.1.2",
        "## Figures of 0.1.1",
        "## Figures of `toy-0.1.0.onnx` on val",
    ]


def test_what_a_run_says_in_lines_stays_in_its_cell() -> None:
    learned = SimpleNamespace(name="a | b", split="one\ntwo", pictures=1, sha256="00")
    made = SimpleNamespace(
        manifest=SimpleNamespace(training_data=(learned,)),
        val=SimpleNamespace(samples=(), sha256="11"),
        progress=SimpleNamespace(data=()),
    )
    lines = _data(made, SimpleNamespace(config=SimpleNamespace(val=learned)))
    assert r"| train | a \| b | one two | 1 | `00` |" in lines
    assert r"| validation | a \| b | one two | 0 | `11` |" in lines


def test_the_clean_pictures_that_were_counted_are_given_to_evaluate_too() -> None:
    val = SimpleNamespace(annotations="v.json", images="v")
    request = SimpleNamespace(
        config=SimpleNamespace(val=val),
        checkpoint=Path("best"),
        folder=Path("out"),
        clean=("a picture",),
        thresholds="chosen",
    )
    made = SimpleNamespace(
        manifest=SimpleNamespace(model_name="toy"),
        artifact=Path("out/toy.onnx"),
        progress=SimpleNamespace(blend=None),
    )
    export, evaluate, _ = _remake(made, request, Path("toy.toml"))[-3:]
    assert export.endswith(" --clean CLEAN --thresholds THRESHOLDS")
    assert evaluate.endswith(' --images "v" --clean CLEAN --json')


def test_a_threshold_that_nothing_was_chosen_by_is_told_from_the_others() -> None:
    recalls = {"pit": 0.8, "dent": nan, "seam": 0.0}
    points = [OperatingPoint(0.5, 1.0, recall) for recall in recalls.values()]
    release = SimpleNamespace(
        manifest=SimpleNamespace(labels=LabelSet(tuple(recalls))),
        points=points,
        thresholds_origin="",
    )
    assert (
        "Not so for dent, seam: no such flaw was found among them, so 0.5" in _chosen(release)[-1]
    )
    release.points = points[:1] * 3
    assert "Not so" not in " ".join(_chosen(release))
    release.points, release.thresholds_origin = points, "chosen by `mobilemamba calibrate`."
    assert "Not so" not in " ".join(_chosen(release)), "these have their reasons elsewhere"
