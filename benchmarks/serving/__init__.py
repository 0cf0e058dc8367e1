"""How fast Flawline serves, beside a bare loop and beside other servers; docs/performance.md explains the figures."""
