"""`flawline simulate`."""

from __future__ import annotations

import click

from flawline.application.simulation import Event, Scenario, play
from flawline.cli.finite import FiniteRange
from flawline.cli.startup import caller_settings
from flawline.settings import FlawlineSettings

_SCENARIOS = ("steady", "fading-light", "losing-focus", "rising-defects")


@click.command("simulate", short_help="Play a line through: which alarms are raised, and when.")
@click.argument("scenarios", nargs=-1, type=click.Choice(_SCENARIOS))
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same events."
)
@click.option(
    "--frames", type=click.IntRange(1, 10_000_000), default=10_000, show_default=True, help="Each."
)
@click.option(
    "--frames-per-minute",
    type=FiniteRange(0.01, 100_000),
    default=60.0,
    show_default=True,
    help="How fast the line is.",
)
@click.option(
    "--defect-rate",
    type=FiniteRange(0, 1),
    default=0.02,
    show_default=True,
    help="True share of flawed parts at first.",
)
@click.option(
    "--fade",
    type=FiniteRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of its first brightness that a fading light loses a minute.",
)
@click.option(
    "--blur",
    type=FiniteRange(0, 10),
    default=0.02,
    show_default=True,
    help="What a lens that loses focus gains a minute, in px (sigma of a Gaussian).",
)
@click.option(
    "--rise",
    type=FiniteRange(0, 1),
    default=0.001,
    show_default=True,
    help="What a rising defect rate gains a minute.",
)
def command(
    scenarios: tuple[str, ...],
    seed: int,
    frames: int,
    frames_per_minute: float,
    defect_rate: float,
    fade: float,
    blur: float,
    rise: float,
) -> None:
    """Play lines through in seconds, and print the alarms that they raise.

    Frames are drawn and measured as in the service, and watched with its settings; the detector is
    not run: flaws come by chance. Without SCENARIOS all are played.
    """
    settings = caller_settings()
    for name in scenarios or _SCENARIOS:
        scenario = Scenario(
            name=name,
            frames=frames,
            frames_per_minute=frames_per_minute,
            defect_rate=defect_rate,
            fade=fade if name == "fading-light" else 0.0,
            rise=rise if name == "rising-defects" else 0.0,
            blur_px=blur if name == "losing-focus" else 0.0,
        )
        _play(scenario, settings, seed)


def _play(scenario: Scenario, settings: FlawlineSettings, seed: int) -> None:
    hours = _time(scenario.frames * 60 / scenario.frames_per_minute)
    click.echo(f"{scenario.name}: {scenario.frames} frames in {hours}")
    events = 0
    for event in play(scenario, settings.line_options, settings.single_frame_limits, seed):
        click.echo(_sentence(event))
        events += 1
    learn = settings.baseline_frames
    if scenario.frames <= learn:
        click.echo(
            f"  nothing was tried: the line learns from its first {learn} frames (FLAWLINE_BASELINE_FRAMES), "
            "and all is steady until then; play more (--frames)"
        )
    elif not events:
        click.echo("  no alarm")


def _sentence(event: Event) -> str:
    change = event.change
    what = f"raised: {change.because}" if change.raised else "over"
    return f"  {_time(event.at_s)}  frame {event.frame}  {change.alarm.value} {what}"


def _time(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}"
