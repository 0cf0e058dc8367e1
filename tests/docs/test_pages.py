"""The commands of the pages on containers, boards and Kubernetes: each is run, or named with the reason."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from certificates import needs_openssl

ROOT = Path(__file__).parents[2]
PROVE = ROOT / "docker" / "prove"
PAGES = ("docs/containers.md", "docs/edge.md", "docs/kubernetes.md")
KUBERNETES = "docs/kubernetes.md"
KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(
    KUBECTL is None, reason="kubectl is not installed: it renders the overlays"
)

CANNOT_BE_RUN = {
    "docker buildx build": "needs a builder image; docker/prove/serving builds one half, arm64 runs the other",
}
# In the run of a sentence. What covers it, or why nothing can.
IN_SENTENCES = {
    "docker run --rm flawline:local version": "docker/prove/serving",
    "docker buildx create --use": "needs a builder image from a registry",
    "docker image inspect -f {{.Architecture}} IMAGE": "docker/prove/arm64",
    "make images-test": "runs all proofs",
    "kubectl apply -k": "the lines of docs/kubernetes.md",
    "nvpmodel -q": "only a Jetson has it",
    "vcgencmd get_throttled": "only a Raspberry Pi has it",
    "flawline check": "docker/prove/edge",
    "flawline health": "docker/prove/edge",
    "flawline version": "docker/prove/serving, tests/docs/test_release.py",
    "flawline models list": "docker/prove/serving, tests/docs/test_commands.py",
}


def _commands() -> Callable[[str], list[str]]:
    spec = importlib.util.spec_from_file_location("page", PROVE / "page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.commands


commands = _commands()


def proved() -> set[tuple[str, str]]:
    """Page and beginning of each command that a proof takes from a page and runs."""
    scripts = (path.read_text("utf-8") for path in PROVE.iterdir() if not path.suffix)
    claim = r"(?:as_written|command_of|on_board) (docs/\S+) '([^']+)'"
    return {found for script in scripts for found in re.findall(claim, script)}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_run(page: str) -> None:
    beginnings = {beginning for of, beginning in proved() if of == page}
    beginnings |= CANNOT_BE_RUN.keys() if page == "docs/containers.md" else set()
    beginnings |= {"kubectl"} if page == KUBERNETES else set()  # below
    for command in commands(page):
        matching = [beginning for beginning in beginnings if command.startswith(beginning)]
        assert len(matching) == 1, f"{page}: {command} is run by {matching or 'nothing'}"


def test_proofs_run_commands_that_there_are() -> None:
    assert len(proved()) > 10
    for page, beginning in proved():
        found = {command for command in commands(page) if command.startswith(beginning)}
        assert len(found) == 1, f"{page}: {beginning}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_a_sentence_is_accounted_for(page: str) -> None:
    prose = re.sub(
        r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    programs = "docker|podman|kubectl|pip|make|flawline|systemctl|nvpmodel|vcgencmd|python3?|sudo"
    mentioned = set(re.findall(rf"`((?:{programs}) [^`]*)`", prose))
    assert mentioned <= IN_SENTENCES.keys()


def kubectl(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@needs_kubectl
@needs_openssl
@pytest.mark.timeout(120)
def test_what_is_made_for_prod_is_what_prod_asks_for(tmp_path: Path) -> None:
    """There is no cluster: what would be created is printed instead, what would be applied is rendered."""
    (tmp_path / "k8s").symlink_to(ROOT / "k8s")
    (tmp_path / "token").write_text("0123456789abcdef")
    for name in ("tls", "ingress", "grpc"):
        options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
        files = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt"]
        command = ["openssl", "req", *options.split(), *files]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    *creating, applying = commands(KUBERNETES)
    made = [
        yaml.safe_load(kubectl(f"{line} --dry-run=client -o yaml", tmp_path)) for line in creating
    ]
    assert [document["kind"] for document in made] == ["Namespace", "Secret", "Secret", "Secret"]
    *words, path = shlex.split(applying)
    assert words == ["kubectl", "apply", "-k"]
    rendered = kubectl(f"kubectl kustomize {path}", tmp_path)
    namespace = made[0]["metadata"]["name"]
    documents = list(yaml.safe_load_all(rendered))
    named = {document["metadata"].get("namespace") for document in documents}
    assert named <= {namespace, None}
    for secret in made[1:]:
        assert secret["metadata"]["namespace"] == namespace
        asked = rf"(secretName|name): {secret['metadata']['name']}$"
        assert re.search(asked, rendered, re.MULTILINE), secret["metadata"]["name"]
    mounted = {item["key"] for item in mounted_keys(documents, "flawline-access")}
    assert "redis-password" in mounted <= made[1]["data"].keys()


def mounted_keys(documents: list[dict[str, object]], secret: str) -> list[dict[str, str]]:
    """Keys of a Secret that pods mount or KEDA reads by name."""
    found: list[dict[str, str]] = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if node.get("secretName") == secret or node.get("name") == secret:
                found.extend(node.get("items", [node] if "key" in node else []))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(documents)
    return found


@needs_kubectl
@pytest.mark.parametrize("overlay", ["overlays/prod", "overlays/dev", "overlays/edge"])
def test_images_come_from_where_the_page_says(overlay: str, tmp_path: Path) -> None:
    """A base has renamed them already: an overlay that says `flawline` changes nothing."""
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    (images,) = re.findall(
        r"^```yaml\n(images:\n.*?)^```$",
        (ROOT / KUBERNETES).read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    mine = {"resources": [f"../k8s/{overlay}"]} | yaml.safe_load(images)
    if overlay == "overlays/prod":
        mine["components"] = ["../k8s/components/gpu"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(mine), "utf-8")
    taken = re.findall(r"image: (\S+)$", kubectl("kubectl kustomize mine", tmp_path), re.MULTILINE)
    assert taken
    assert all(image.startswith("registry.example.com/") for image in taken), taken
    assert ("-cuda" in "".join(taken)) is (overlay == "overlays/prod")
    assert all(image.endswith("-edge") for image in taken) is (overlay == "overlays/edge")


@needs_kubectl
def test_the_overlay_that_readme_names_renders() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (path,) = re.findall(r"`kubectl apply -k (\S+)`", readme)
    assert "kind: Deployment" in kubectl(f"kubectl kustomize {path}", ROOT)
