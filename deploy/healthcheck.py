"""Exit 0 if the service in this container answers, 1 if not; what Docker's HEALTHCHECK runs.

Without an argument GET /health must answer 200. `healthcheck.py PORT` asks only whether something
listens there: the metrics port of a worker that runs alone. Standard library only, for speed.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys

TIMEOUT_S = 4.0


def service_port() -> int:
    """Return the port that `proofreel.settings` finds in the same environment."""
    port = os.environ.get("PROOFREEL_PORT") or os.environ.get("PORT") or "8000"
    return 8000 if port.startswith("tcp://") else int(port)


def main(arguments: list[str]) -> int:
    """Return the exit status."""
    try:
        if arguments:
            socket.create_connection(("127.0.0.1", int(arguments[0])), TIMEOUT_S).close()
            return 0
        connection = http.client.HTTPConnection("127.0.0.1", service_port(), timeout=TIMEOUT_S)
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"No answer: {error}", file=sys.stderr)
        return 1
    print(f"/health answers {status}")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
