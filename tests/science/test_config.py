from __future__ import annotations

from pathlib import Path

import pytest

from mobilemamba.config import ConfigError, DataConfig, load_config

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
