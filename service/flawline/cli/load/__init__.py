"""What `flawline bench` and `flawline tune` have in common: pictures, ways to a service, and what is printed."""
