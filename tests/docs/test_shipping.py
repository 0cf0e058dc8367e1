"""What the pages on images, Kubernetes and boards say, held against the files that they speak of."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flawline.adapters.rest.body import BodyLimits, _kinds_of
from flawline.settings import FlawlineSettings

ROOT = Path(__file__).parents[2]
PROOFS = ROOT / "docker" / "prove"


@pytest.mark.parametrize(
    "script", ["docs/make_edge_sheet.py", "k8s/make_rules.py", "docker/make_release.py"]
)
def test_what_is_made_from_the_repository_is_up_to_date(script: str) -> None:
    done = subprocess.run(
        [sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_dockerfile_has_the_targets_that_the_page_lists() -> None:
    page = (ROOT / "docs" / "containers.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `([a-z]+)` \|", page, re.MULTILINE))
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    assert listed == {"serving", "cuda", "edge", "train"}
    assert listed <= set(re.findall(r"^FROM \S+ AS ([a-z]+)$", dockerfile, re.MULTILINE))


def test_the_pages_list_the_components_and_overlays_that_there_are() -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
    for folder in ("components", "overlays"):
        there = {path.name for path in (ROOT / "k8s" / folder).iterdir() if path.is_dir()}
        assert there <= set(re.findall(r"`([a-z-]+)`", page))


def test_streams_and_group_of_the_scaler_are_those_of_the_queue() -> None:
    from flawline.adapters.redis_queue.keys import GROUP, Keys
    from flawline.core.priority import Priority

    scaler = yaml.safe_load(
        (ROOT / "k8s" / "components" / "keda" / "scaled-object.yaml").read_text("utf-8")
    )
    triggers = [trigger["metadata"] for trigger in scaler["spec"]["triggers"]]
    streams = {Keys("flawline").jobs(priority) for priority in Priority}
    assert {trigger["stream"] for trigger in triggers} == streams
    assert {trigger["consumerGroup"] for trigger in triggers} == {GROUP}
    kinds = [{"lagCount", "pendingEntriesCount"} & set(trigger) for trigger in triggers]
    assert all(len(kind) == 1 for kind in kinds)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl renders the manifests")
@pytest.mark.parametrize("overlay", ["overlays/prod", "examples/backfill"])
def test_the_scaler_finds_redis_from_the_namespace_that_it_runs_in(overlay: str) -> None:
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "k8s" / overlay)],
        capture_output=True,
        text=True,
        check=True,
    )
    manifests = list(yaml.safe_load_all(rendered.stdout))
    (scaler,) = (manifest for manifest in manifests if manifest["kind"] == "ScaledObject")
    services = {
        f"{m['metadata']['name']}.{m['metadata']['namespace']}.svc:6379"
        for m in manifests
        if m["kind"] == "Service"
    }
    addresses = {trigger["metadata"]["address"] for trigger in scaler["spec"]["triggers"]}
    assert len(addresses) == 1
    assert addresses <= services


@pytest.mark.parametrize("page", ["containers", "edge"])
def test_docker_stops_no_service_before_it_has_drained(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8").replace("\\\n", "")
    (serving,) = re.findall(r"^docker run .*FLAWLINE_TOKEN_FILE.*$", text, re.MULTILINE)
    (patience_s,) = re.findall(r"--stop-timeout (\d+) ", serving)
    assert (
        int(patience_s) >= FlawlineSettings().drain_timeout_s + 8
    )  # to hang up, and to close the rest


def test_compose_builds_each_image_once() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    services = compose["services"]
    built = [service["image"] for service in services.values() if "build" in service]
    assert len(built) == len(set(built)) == 1
    for name, service in services.items():
        if service["image"] in built and "build" not in service:
            assert "api" in service["depends_on"], name


def test_the_ingress_waits_longer_than_any_inspection_may_take() -> None:
    ingress = yaml.safe_load(
        (ROOT / "k8s" / "components" / "ingress" / "ingress.yaml").read_text("utf-8")
    )
    patience_s = ingress["metadata"]["annotations"][
        "nginx.ingress.kubernetes.io/proxy-read-timeout"
    ]
    assert int(patience_s) > FlawlineSettings().max_deadline_ms / 1000 + 5


def test_the_ingress_lets_through_whatever_the_service_takes() -> None:
    text = (ROOT / "k8s" / "components" / "ingress" / "ingress.yaml").read_text("utf-8")
    (mebibytes,) = re.findall(r"proxy-body-size: (\d+)m$", text, re.MULTILINE)
    settings = FlawlineSettings()
    limits = BodyLimits(
        max_bytes=settings.max_body_bytes, max_frames_bytes=settings.max_frames_bytes
    )
    largest = max(kind.max_bytes for kind in _kinds_of(limits).values())
    assert int(mebibytes) << 20 > max(largest, settings.max_inference_bytes)


def test_an_example_without_a_token_says_who_reaches_it() -> None:
    """The dev overlay alone is open: its page says that it is to try it."""
    for path in (ROOT / "k8s").rglob("kustomization.yaml"):
        text = path.read_text("utf-8")
        if "FLAWLINE_INSECURE=true" in text and path.parent.name != "dev":
            assert "components/network-policy" in text, path


def test_no_budget_keeps_a_node_from_being_emptied() -> None:
    text = (ROOT / "k8s" / "base" / "disruption.yaml").read_text("utf-8")
    for budget in yaml.safe_load_all(text):
        assert budget["spec"]["maxUnavailable"] == 1  # of a single pod, too
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@pytest.mark.parametrize(
    ("file", "threads"),
    [("k8s/overlays/edge/node/node.yaml", 2), ("docker/edge/flawline.service", 2)],
)
def test_memory_suffices_for_the_largest_pictures(file: str, threads: int) -> None:
    """180 MB, and 13 bytes a pixel in each thread: measured with progressive CMYK of 50 megapixels."""
    text = (ROOT / file).read_text("utf-8")
    gigabytes = int(re.findall(r"(?:memory: |MemoryMax=)(\d+)Gi?$", text, re.MULTILINE)[-1])
    assert gigabytes << 30 > 180e6 + threads * 13 * FlawlineSettings().max_pixels


def test_make_help_lists_every_verb() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (declared,) = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    verbs = [line for line in done.stdout.splitlines() if line.startswith("  make ")]
    # `python` is a step of others, no verb
    assert {line.split()[1] for line in verbs} == set(declared.split()) - {"python"}
    width = len("  make ") + max(len(line.split()[1]) for line in verbs)
    assert all(line[width] == " " and line[width + 1] != " " for line in verbs), "one column"


def test_every_proof_is_run_by_make_or_ci() -> None:
    proofs = {p.name for p in PROOFS.iterdir() if not p.suffix and p.stat().st_mode & 0o100}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (listed,) = re.findall(r"for proof in ([a-z0-9 ]+);", makefile)
    elsewhere = {"off", "oldest", "version"}  # `off` ends; the others are called by lint and by CI
    assert proofs - elsewhere == set(listed.split())


def test_images_bring_the_bytecode_that_nothing_may_write_in_them() -> None:
    """Or each start, and each health check every ten seconds, compiles all modules anew."""
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    assert "PYTHONDONTWRITEBYTECODE=1" in dockerfile
    stages = dict(
        re.findall(r"^FROM \S+ AS (\S+)$(.*?)(?=^FROM |\Z)", dockerfile, re.MULTILINE | re.DOTALL)
    )
    for name in ("serving-env", "cuda-env", "edge-env", "runtime"):
        assert "-m compileall" in stages[name]
    # What pip compiles, -x cannot take away. PIP_NO_COMPILE=1 would make it compile: pip reads it the other way round.
    installs = re.findall(r"bin/python install .*", dockerfile)
    assert len(installs) == 5
    assert all("--no-compile" in install for install in installs)
    assert "PIP_NO_COMPILE" not in dockerfile


def test_no_container_fills_the_disk_with_its_log() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    drivers = {name: of["logging"]["driver"] for name, of in compose["services"].items()}
    assert set(drivers.values()) == {"local"}
    page = (ROOT / "docs" / "edge.md").read_text("utf-8")
    assert re.search(r"^docker run -d (.*\\\n)*.*--log-driver local ", page, re.MULTILINE)


def test_compose_keeps_what_is_not_to_be_lost_with_a_container() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text("utf-8"))
    kept = {
        volume.split(":")[0]: name
        for name, service in compose["services"].items()
        for volume in service.get("volumes", ())
        if not volume.startswith(".")
    }
    assert kept == {
        "queue": "redis",
        "metrics": "prometheus",
        "silences": "alertmanager",
        "boards": "grafana",
    }
    assert kept.keys() == compose["volumes"].keys()


def test_a_board_waits_for_no_network_before_it_inspects() -> None:
    unit = (ROOT / "docker" / "edge" / "flawline.service").read_text("utf-8")
    ordered = re.findall(r"^(?:After|Wants|Requires|BindsTo)=(.*)$", unit, re.MULTILINE)
    assert ordered == ["network.target"]
    assert re.search("^Restart=always$", unit, re.MULTILINE)  # an address that comes later
