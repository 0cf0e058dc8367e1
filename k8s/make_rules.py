"""Writes components/monitoring/rules.yaml, a PrometheusRule with the rules of docker/prometheus/rules.

    python k8s/make_rules.py [--check]

One copy of the rules is kept; this one is made, because the Prometheus Operator wants them wrapped.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
RULES = HERE.parent / "docker" / "prometheus" / "rules"
TARGET = HERE / "components" / "monitoring" / "rules.yaml"
HEAD = """\
# Made from docker/prometheus/rules by k8s/make_rules.py; change the rules there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: flawline
spec:
  groups:
"""


def rules_manifest() -> str:
    """The groups of every file, moved in under `spec`; their text stays as it is."""
    lines = [HEAD]
    for path in sorted(RULES.glob("*.yml")):
        head, found, groups = path.read_text(encoding="utf-8").partition("groups:\n")
        if not found or any(line and not line.startswith("#") for line in head.splitlines()):
            raise SystemExit(f"{path} must begin with comments and `groups:`")
        indent = 4 - (len(groups.lstrip("\n")) and _indent_of(groups))
        lines.append(f"    # {path.name}\n")
        lines += [f"{' ' * indent}{line}\n" if line else "\n" for line in groups.splitlines()]
    return "".join(lines)


def _indent_of(groups: str) -> int:
    first = next(line for line in groups.splitlines() if line.lstrip().startswith("- "))
    return len(first) - len(first.lstrip())


def main() -> None:
    made = rules_manifest()
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != made:
            raise SystemExit(
                f"{TARGET.name} is not what the rules say: run python k8s/make_rules.py"
            )
        return
    TARGET.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
