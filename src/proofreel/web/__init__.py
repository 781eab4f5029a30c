"""The HTTP service: seed routes, /v1, the pages."""
