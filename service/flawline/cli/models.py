"""`flawline models`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from flawline.cli.running_server import RunningServer
from flawline.cli.startup import caller_settings

_STABLE_PATH = "/v1/aliases/stable"


@click.group("models", short_help="Show and change the models of a running server.")
@click.option(
    "--url", help="Where it listens; else as FLAWLINE_HOST and FLAWLINE_PORT say.  [http(s)://...]"
)
@click.pass_context
def command(context: click.Context, url: str | None) -> None:
    """Load, switch, roll back and unload models of a server that runs, without losing a request.

    Artifacts lie in the server's FLAWLINE_MODELS_DIR and go by the name and version in them. It asks with the
    token in FLAWLINE_TOKEN_FILE, and trusts the certificate in FLAWLINE_TLS_CERT_FILE.
    """
    context.obj = RunningServer.of(caller_settings(), url)


@command.command("list")
@click.pass_obj
def list_models(server: RunningServer) -> None:
    """One line for each artifact that could be loaded, and for each model that is."""
    loaded = {_called(model): model for model in server.ask("GET", "/v1/models")["models"]}
    for called, model in loaded.items():
        print("stable" if model["stable"] else "loaded", called, model["sha256"][:16], sep="  ")
    for artifact in server.ask("GET", "/v1/artifacts")["artifacts"]:
        if artifact["fault"]:
            print("unusable", artifact["file"], artifact["fault"], sep="  ")
        elif not artifact["loaded"]:
            model = artifact["model"]
            print("on disk", _called(model), model["sha256"][:16], sep="  ")


@command.command("load")
@click.argument("name")
@click.argument("version")
@click.pass_obj
def load(server: RunningServer, name: str, version: str) -> None:
    """Load, warm up and test one beside the others; it then inspects for requests that name it."""
    server.ask("PUT", _path_of(name, version))
    print("loaded", name, version)


@command.command("use")
@click.argument("name")
@click.argument("version", required=False)
@click.pass_obj
def use(server: RunningServer, name: str, version: str | None) -> None:
    """Make one stable, loaded first if need be; without VERSION the one made last."""
    body = {"name": name} if version is None else {"name": name, "version": version}
    print("stable", _called(server.ask("PUT", _STABLE_PATH, body)["stable"]))


@command.command("rollback")
@click.pass_obj
def roll_back(server: RunningServer) -> None:
    """Make stable again what was stable before."""
    now = server.ask("GET", _STABLE_PATH)["stable"]
    former = {"from": {"name": now["name"], "version": now["version"]}}
    print("stable", _called(server.ask("POST", f"{_STABLE_PATH}/rollback", former)["stable"]))


@command.command("unload")
@click.argument("name")
@click.argument("version")
@click.pass_obj
def unload(server: RunningServer, name: str, version: str) -> None:
    """Let one answer what it was asked, then free its memory. The stable one stays."""
    server.ask("DELETE", _path_of(name, version))
    print("unloaded", name, version)


def _path_of(name: str, version: str) -> str:
    # What of a command line is no text names no model; the server says so.
    quoted = (quote(word, safe="", errors="backslashreplace") for word in (name, version))
    return f"/v1/models/{'/'.join(quoted)}"


def _called(model: dict[str, Any]) -> str:
    return f"{model['name']} {model['version']}"
