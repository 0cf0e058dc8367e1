"""From rows to ratios, bars, tables and the page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from serving import page
from serving.aggregate import Spread, aggregated
from serving.bars import load_bars
from serving.plan import Plan, chosen
from serving.plots import draw_plots
from serving.servers import Server
from serving.store import OtherRun, Row, Store
from serving.tables import load_tables


def row(contender: str, repeat: int, rate: float, p50_ms: float = 10.0, **more: Any) -> Row:
    return {
        "part": "load",
        "contender": contender,
        "kind": "200x200",
        "clients": 8,
        "rate_fps": 0.0,
        "repeat": repeat,
        "asked": 100,
        "answers": 100,
        "failures": {},
        "deadline_misses": 0,
        "frames_per_s": rate,
        "p50_ms": p50_ms,
        "p95_ms": p50_ms,
        "p99_ms": p50_ms,
        "cpu_ms_a_frame": 5.0,
        "generator_cpu_ms_a_frame": 0.1,
        "rss_mb": 200.0,
        "pss_mb": 150.0,
        "others_cores": 0.0,
        **more,
    }


# The machine slows down between repeats: a ratio of medians over all would be another.
ROWS = [
    row("limit/batch-1", 0, 100.0),
    row("limit/batch-8", 0, 80.0),
    row("flawline/rest", 0, 90.0),
    row("other-1x2/http", 0, 60.0),
    row("other-2x1/http", 0, 75.0),
    row("limit/batch-1", 1, 50.0),
    row("limit/batch-8", 1, 10.0),
    row("flawline/rest", 1, 40.0),
    row("other-1x2/http", 1, 10.0),
    row("other-2x1/http", 1, 20.0),
    row("limit/batch-1", 2, 40.0),
    row("limit/batch-8", 2, 50.0),
    row("flawline/rest", 2, 40.0),
    row("other-1x2/http", 2, 15.0),
    row("other-2x1/http", 2, 20.0),
]


def test_a_ratio_is_taken_within_a_repeat_to_the_faster_loop() -> None:
    (ours,) = [r for r in aggregated(ROWS) if r.contender == "flawline/rest"]
    assert ours.ratios["frames_per_s"] == Spread(median=0.8, low=0.8, high=0.9)
    assert ours.repeats == 3


def test_bars_take_the_better_configuration_of_a_peer_and_say_what_is_not_known() -> None:
    bars = {bar.words: bar for bar in load_bars(ROWS, {"other-1x2", "other-2x1"})}
    peers = bars["throughput, REST, 8 clients, to the best peer"]
    assert peers.beside == "flawline/rest / other-2x1/http"
    assert peers.measured == Spread(median=2.0, low=1.2, high=2.0)
    assert peers.met is True
    assert bars["throughput, REST, 8 clients, to the bare loop"].met is False
    assert bars["p50, REST, 1 client, to one bare picture"].met is None


def test_a_failed_answer_is_seen_in_the_table() -> None:
    failed = row("flawline/rest", 0, 90.0, failures={"status 504": 3}, deadline_misses=3)
    assert "**(3 failed)**" in load_tables(aggregated([failed]), 100.0)


def test_everyone_is_first_in_a_cell_at_some_time() -> None:
    plan = Plan(("a/x", "b/x", "c/x"), ("200x200",), (1,), (), 6, 1.0, 0.1, 100.0, 0.1)
    (cell,) = plan.cells
    orders = [plan.order(repeat, cell) for repeat in range(6)]
    assert {order[0] for order in orders} == {"a/x", "b/x", "c/x"}
    assert all(sorted(order) == ["a/x", "b/x", "c/x"] for order in orders)


def test_a_peer_names_all_its_configurations() -> None:
    def started_never(*_: object) -> None:
        raise AssertionError

    servers = [
        Server(name, "", started_never, {"http": None}, peer=True, environment="other")
        for name in ("other-1x2", "other-2x1")
    ]
    assert chosen(["other"], servers) == ("other-1x2/http", "other-2x1/http")
    assert chosen(["peers"], servers) == chosen(["other"], servers)


def test_figures_of_two_configurations_are_not_mixed(tmp_path: Path) -> None:
    Store(tmp_path, {"threads": 1}, fresh=False).add(part="load", contender="a")
    assert Store(tmp_path, {"threads": 1}, fresh=False).has(part="load", contender="a")
    with pytest.raises(OtherRun, match="threads: 1 and now 2"):
        Store(tmp_path, {"threads": 2}, fresh=False)
    assert not Store(tmp_path, {"threads": 2}, fresh=True).rows


def test_a_server_that_starts_after_all_is_no_longer_called_unavailable(tmp_path: Path) -> None:
    store = Store(tmp_path, {}, fresh=False)
    store.add(part="unavailable", server="a", reason="no")
    store.add(part="unavailable", server="b", reason="no")
    store.forget(part="unavailable", server="a")
    for seen in (store, Store(tmp_path, {}, fresh=False)):
        assert [row["server"] for row in seen.part("unavailable")] == ["b"]


def test_the_page_takes_no_figures_of_a_disturbed_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "performance.md"
    written.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", "utf-8")
    monkeypatch.setattr(page, "PAGE", written)
    monkeypatch.setattr(page, "PLOTS", tmp_path / "performance")
    monkeypatch.setattr(page, "ROOT", tmp_path)
    quiet, disturbed, dirty = (Store(tmp_path / n, {}, fresh=False) for n in ("q", "d", "u"))
    for store, cores in ((quiet, 0.01), (disturbed, 0.9), (dirty, 0.01)):
        store.add(**row("flawline/rest", 0, 90.0, others_cores=cores))
        (store.folder / "table.md").write_text("| new |\n", "utf-8")
    (quiet.folder / "200x200.svg").write_text("<svg/>", "utf-8")
    with pytest.raises(SystemExit, match="others computed"):
        page.write_page(disturbed, {"commit": "abc"}, 0.1)
    with pytest.raises(SystemExit, match="not committed"):
        page.write_page(dirty, {"commit": "abc-dirty"}, 0.1)
    assert "old" in written.read_text("utf-8")
    page.write_page(quiet, {"commit": "abc"}, 0.1)
    text = written.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| new |" in text
    assert "old" not in text
    assert "![200x200](performance/200x200.svg)" in text
    assert (tmp_path / "performance" / "200x200.svg").exists()


def test_the_committed_page_has_the_marks() -> None:
    text = page.PAGE.read_text("utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1


@pytest.mark.parametrize(
    ("rates", "title"), [((50.0,), "p99 at 50 frames/s"), ((25.0, 50.0), "cadence")]
)
def test_a_single_cadence_is_drawn_as_rows_and_several_as_curves(
    tmp_path: Path, rates: tuple[float, ...], title: str
) -> None:
    names = ("flawline/rest", "other-2x1/http")
    camera = [row(name, 0, 50.0, clients=0, rate_fps=rate) for name in names for rate in rates]
    (path,) = draw_plots(aggregated([*ROWS, *camera]), tmp_path)
    words = path.read_text("utf-8")
    assert title in words
    # Once in the legend, and once for its row.
    assert words.count(">other-2x1/http</text>") == (2 if len(rates) == 1 else 1)
