"""In place of Grafana, which no package brings: healthy on port 3000 once the provisioned files are where it looks.

It draws nothing. The dashboards are held against Grafana's schema and a real Prometheus by tests/observability.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PROVISIONING = Path("/etc/grafana/provisioning")


def dashboards() -> list[str]:
    """Titles of what the provisioning files point at."""
    (provider,) = (PROVISIONING / "dashboards").glob("*.yaml")
    folder = re.findall(r"^ *path: (\S+)$", provider.read_text("utf-8"), re.MULTILINE)[0]
    return [json.loads(path.read_text("utf-8"))["title"] for path in Path(folder).glob("*.json")]


class Health(BaseHTTPRequestHandler):
    """GET /api/health: 200 with what was found, or 503."""

    def do_GET(self) -> None:
        """Answer; whatever else is asked for is not there."""
        found = dashboards() if self.path == "/api/health" else []
        sources = list((PROVISIONING / "datasources").glob("*.yaml"))
        self.send_response(200 if found and sources else 503)
        self.end_headers()
        self.wfile.write(json.dumps({"dashboards": found}).encode())


HTTPServer(("0.0.0.0", 3000), Health).serve_forever()  # noqa: S104 - a container's port is published on loopback alone
