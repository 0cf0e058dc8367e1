from __future__ import annotations

import re
from pathlib import Path

import pytest

from mobilemamba.config import ConfigError, DataConfig, load_config
from mobilemamba.ranges import RANGES, _numbers

DATA = 'name = "a"\nsplit = "b"\nannotations = "x.json"\nimages = "x"\n'
LEAST = f"[[train]]\n{DATA}[val]\n{DATA}[model]\nlicense_note = 'none'\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return path


def test_defaults_fill_what_is_not_given(tmp_path: Path) -> None:
    run = load_config(write(tmp_path, LEAST + "[augment]\nscale = [1, 2]\n"))
    assert run.model.size == "nano"
    assert run.augment.scale == (1.0, 2.0)
    assert len(run.sha256) == 64


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    text = (
        "sead = 1\nmodel = 3\n[[train]]\nname = 1\nsplit = 'b'\nannotations = 'x'\n"
        "[input]\nwidth_px = 'wide'\n[augment]\nscale = [1]\ngain = [2]\n[training]\nlr = 1\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    for part in (
        "sead is unknown; known: ",
        "model must be a table",
        "train[0].name must be a str, not 1",
        "train[0].images is missing",
        "val is missing",
        "input.width_px must be a int, not 'wide'",
        "augment.scale must hold 2 values",
        "augment.gain must be a float, not [2]",
        "training.lr is unknown",
    ):
        assert part in str(caught.value)


def test_values_out_of_range_are_named(tmp_path: Path) -> None:
    text = f"{LEAST}[input]\nwidth_px = 200\nstd = 0\n[training]\nepochs = 0\n[augment]\nmosaic = 2\nscale=[2, 1]\n"
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert "has 5 fault(s)" in str(caught.value)
    text = f"seed = -1\n{LEAST}size = 'big'\nname = 'my model'\n[training]\nclip_norm = 0\nwarmup_epochs = -1\n"
    with pytest.raises(ConfigError, match=r"has 5 fault\(s\)"):
        load_config(write(tmp_path, text))
    with pytest.raises(ConfigError, match="on what terms the weights may be used"):
        load_config(write(tmp_path, LEAST.replace("'none'", "' '")))
    assert "input.width_px must be a positive multiple of 64" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "value", "message"),
    [
        ("augment", "scale = [1.0, inf]", "augment.scale must be at least 0.01 and at most 100"),
        ("augment", "noise = nan", "augment.noise must be at least 0 and at most 255, not nan"),
        ("augment", "stretch = 1.0", "augment.stretch must be at least 0 and below 1, not 1"),
        ("contrast", "channels = -3", "contrast.channels must be finite and at least 1, not -3"),
        ("contrast", "most_negatives = -3", "contrast.most_negatives must be finite and at least"),
        ("contrast", "background_weight = -1", "contrast.background_weight must be finite and"),
        ("input", "mean = nan", "input.mean must be at least 0 and at most 1, not nan"),
        ("input", "std = inf", "input.std must be finite and above 0, not inf"),
        ("input", "width_px = 64000", "input.width_px must be at least 1 and at most 8192"),
        ("loss", "box = -inf", "loss.box must be finite and at least 0, not -inf"),
        ("training", "learning_rate = nan", "training.learning_rate must be finite and above 0"),
        ("training", f"weight_decay = {10**400}", "training.weight_decay is too large"),
    ],
)
def test_numbers_that_nothing_can_be_computed_with_are_named(
    tmp_path: Path, table: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, f"{LEAST}[{table}]\n{value}\n"))
    assert message in str(caught.value)


def test_every_number_has_a_range(tmp_path: Path) -> None:
    numbers = {place for place, _ in _numbers(load_config(write(tmp_path, LEAST)), "")}
    assert numbers == set(RANGES)


@pytest.mark.parametrize("name", ["name", "split", "images"])
def test_a_data_set_that_an_artifact_could_not_name_is_refused(tmp_path: Path, name: str) -> None:
    blank = re.sub(f"^{name} = .*", f'{name} = " \t"', LEAST, flags=re.MULTILINE)
    with pytest.raises(ConfigError, match=r"has 2 fault\(s\)") as caught:
        load_config(write(tmp_path, blank))
    for place in ("train[0]", "val"):
        assert f"{place}.{name} must be a text that is not blank" in str(caught.value)
    without = LEAST.replace('annotations = "x.json"', 'annotations = " "')
    with pytest.raises(ConfigError, match="or left out for clean pictures"):
        load_config(write(tmp_path, without))


@pytest.mark.parametrize(
    ("text", "message"),
    [("= 1", "is not TOML"), (f"sha256 = 'x'\n{LEAST}", "is computed, not given")],
)
def test_what_cannot_be_a_configuration(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_variables_in_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = DataConfig("a", "b", "${FLAWS}/images", "$FLAWS/x.json")
    monkeypatch.delenv("FLAWS", raising=False)
    with pytest.raises(ConfigError, match="set the environment variable FLAWS to a folder"):
        entry.paths()
    monkeypatch.setenv("FLAWS", "/data")
    assert entry.paths() == (Path("/data/x.json"), Path("/data/images"))


def test_the_configurations_that_we_ship_are_sound() -> None:
    for path in (Path(__file__).parents[2] / "models" / "configs").glob("*.toml"):
        load_config(path)


def test_a_description_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path, LEAST)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_config(path).model.license_note == "none"
