"""Durable signed webhooks a second against a Flask view that does nothing, on the same server in the same run."""

from __future__ import annotations

import copy
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask

from benchmarks import load
from bridge.daemon import running
from bridge.demo.run import _free_port
from bridge.demo.stage import THINKIFIC, stage, thinkific_webhook
from bridge.observe import configure_logging
from bridge.web.server import serve

REQUESTS = 3000
CONNECTIONS = 16


def run(rounds: int = 3) -> None:
    """Prints the median of several interleaved rounds."""
    configure_logging(level="error")
    print(f"Receiving: {REQUESTS} signed Thinkific webhooks over {CONNECTIONS} connections, SQLite, synchronous=FULL")
    pairs = [_round(number) for number in range(rounds)]
    for ours, nothing in pairs:
        print(f"  certbridge, on disk   {ours}")
        print(f"  a view doing nothing  {nothing}")
    ratios = sorted(ours.per_second / nothing.per_second for ours, nothing in pairs)
    tails = sorted(ours.p99 / nothing.p99 for ours, nothing in pairs)
    print(f"  ratio of throughput {ratios[len(ratios) // 2]:.2f}, ratio of p99 {tails[len(tails) // 2]:.2f}\n")


def _round(number: int) -> tuple[load.Measured, load.Measured]:
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), port=_free_port()) as stands:
        event = json.loads(thinkific_webhook(stands.thinkific))
        # Lessons are stored like completions, but nothing is issued for them: only the door is measured.
        event |= {"resource": "enrollment", "action": "progress"}
        with running(stands.config) as run:
            connector = run.bridge.sources[THINKIFIC].connector
            signed = []
            for index in range(REQUESTS):
                one = copy.deepcopy(event)
                one["id"] = f"2026112011453022{number}{index:06d}"
                request = connector.sign(
                    json.dumps(one).encode(), {"Content-Type": "application/json"}, datetime.now(UTC)
                )
                signed.append((request.body, dict(request.headers)))
            ours = load.post(run.server.port, f"/hooks/{THINKIFIC}", signed, threads=CONNECTIONS)
        nothing = Flask("nothing")
        nothing.add_url_rule("/hooks/x", view_func=lambda: ("{}", 200), methods=["POST"])
        server = serve(nothing, "127.0.0.1:0")
        try:
            return ours, load.post(server.port, "/hooks/x", signed, threads=CONNECTIONS)
        finally:
            server.close()
