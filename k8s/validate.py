"""Renders overlays and combinations of components, and looks at what comes out. Run by `k8s/prove`.

What it looks at: strict schemas (kinds of Kubernetes itself; those of operators have none here and are named), the
restricted Pod Security level, no `latest`, every name that a manifest refers to exists, only what shall be open is.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

HERE = Path(__file__).parent
VERSIONS = ("1.30", "1.32", "1.34")
COMPONENTS = ("redis", "keda", "gpu", "monitoring", "network-policy", "ingress", "grpc-gateway")
INSECURE = ("overlays/dev", "examples/backfill")
TO_TRY = "overlays/dev"
WHOLE = ("overlays/dev", "overlays/prod", "overlays/edge", "examples/backfill")

Manifest = dict[str, Any]


def main() -> int:
    """Print what was rendered and every fault; 1 if there is one."""
    faults: list[str] = []
    seen: set[str] = set()
    unknown: set[str] = set()
    rendered = [(name, render(HERE / name)) for name in WHOLE]
    rendered += [(" + ".join(("base", *chosen)), combination(chosen)) for chosen in combinations()]
    for name, manifests in rendered:
        faults += [f"{name}: {fault}" for fault in whole_faults(name, manifests)]
        for manifest in manifests:
            text = json.dumps(manifest, sort_keys=True)
            if text not in seen:
                seen.add(text)
                faults += [f"{name}: {fault}" for fault in schema_faults(manifest, unknown)]
                faults += [f"{name}: {fault}" for fault in pod_faults(manifest)]
    print(
        f"{len(rendered)} renderings, {len(seen)} distinct manifests, Kubernetes {', '.join(VERSIONS)}; "
        f"without a schema here: {', '.join(sorted(unknown)) or 'none'}"
    )
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    return 1 if faults else 0


def combinations() -> Iterator[tuple[str, ...]]:
    """Every set of components, the empty one too."""
    for size in range(len(COMPONENTS) + 1):
        yield from itertools.combinations(COMPONENTS, size)


def combination(chosen: tuple[str, ...]) -> list[Manifest]:
    """The base with these components, in a kustomization of its own beside them."""
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".prove-") as folder:
        content = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["../base"],
            "components": [f"../components/{name}" for name in chosen],
        }
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return render(Path(folder))


def render(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{folder} does not render: {done.stderr}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def label(manifest: Manifest) -> str:
    """How faults name it."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def schema_faults(manifest: Manifest, unknown: set[str]) -> Iterator[str]:
    """Misnamed fields and wrong types, in each version."""
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(manifest["kind"])
        except kubernetes_validate.ValidationError as error:
            yield f"{label(manifest)} ({version}): {error.message}"


def pod_faults(manifest: Manifest) -> Iterator[str]:
    """The restricted level of the Pod Security Standards, a read-only root, exact tags, limits, truthful probes."""
    if manifest["kind"] not in ("Deployment", "StatefulSet"):
        return
    pod = manifest["spec"]["template"]["spec"]
    name = label(manifest)
    security = pod.get("securityContext", {})
    checks = {
        "runs as root": security.get("runAsNonRoot") is True,
        "has no seccomp profile": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "mounts a token of the API": pod.get("automountServiceAccountToken") is False,
        "takes settings from names of Services": pod.get("enableServiceLinks") is False,
        "uses the host": not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
    }
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        checks |= {
            "may gain privileges": own.get("allowPrivilegeEscalation") is False,
            "keeps capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "can write its root": own.get("readOnlyRootFilesystem") is True,
            "has no memory limit": "memory" in container["resources"].get("limits", {}),
            "asks for nothing": {"cpu", "memory"} <= set(container["resources"]["requests"]),
            "has no readiness probe": "readinessProbe" in container,
            "has no liveness probe": "livenessProbe" in container,
            "binds a port of the host": not any("hostPort" in p for p in container["ports"]),
            f"image {container['image']} has no exact tag": ":" in container["image"]
            and not container["image"].endswith(":latest"),
        }
    yield from (f"{name} {fault}" for fault, holds in checks.items() if not holds)


def whole_faults(name: str, manifests: list[Manifest]) -> Iterator[str]:
    """Names that are referred to and do not exist; services that select nothing; and `own_faults`."""
    exist = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    pods = [m for m in manifests if m["kind"] in ("Deployment", "StatefulSet")]
    for manifest in pods:
        pod = manifest["spec"]["template"]["spec"]
        wanted = {("ServiceAccount", pod["serviceAccountName"])}
        wanted |= {
            ("ConfigMap", v["configMap"]["name"]) for v in pod["volumes"] if "configMap" in v
        }
        for container in pod["containers"]:
            sources = container.get("envFrom", [])
            wanted |= {("ConfigMap", s["configMapRef"]["name"]) for s in sources}
        yield from (f"{label(manifest)} refers to {k} {n}" for k, n in sorted(wanted - exist))
    for manifest in manifests:
        if manifest["kind"] == "Service":
            wanted_labels = manifest["spec"]["selector"].items()
            if not any(
                wanted_labels <= p["spec"]["template"]["metadata"]["labels"].items() for p in pods
            ):
                yield f"{label(manifest)} selects no pod"
    yield from own_faults(name, manifests)


def own_faults(name: str, manifests: list[Manifest]) -> Iterator[str]:
    """What a schema does not know of budgets, scalers and settings; doors left open."""
    kinds = {manifest["kind"] for manifest in manifests}
    if name in INSECURE and name != TO_TRY and "NetworkPolicy" not in kinds:
        yield "it asks for no token, and no policy says who reaches it"
    for manifest in manifests:
        if manifest["kind"] == "PodDisruptionBudget" and "minAvailable" in manifest["spec"]:
            yield f"{label(manifest)} lets no node be emptied where there is one pod"
        if manifest["kind"] == "ScaledObject" and name in WHOLE:
            own = f"flawline-redis.{manifest['metadata']['namespace']}.svc:6379"
            addresses = {t["metadata"]["address"] for t in manifest["spec"]["triggers"]}
            yield from (f"{label(manifest)} asks {one}, not {own}" for one in addresses - {own})
        if manifest["kind"] == "ConfigMap":
            insecure = manifest.get("data", {}).get("FLAWLINE_INSECURE")
            if insecure and name not in INSECURE:
                yield f"{label(manifest)} is insecure"


if __name__ == "__main__":
    sys.exit(main())
