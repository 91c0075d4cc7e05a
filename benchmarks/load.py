"""A load generator in a process of its own: keep-alive connections in threads, one latency per answered request."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """What one run of the load generator saw; milliseconds."""

    per_second: float
    p50: float
    p99: float
    answers: int
    others: int
    """Answers that were not 200, and connections that broke."""

    def __str__(self) -> str:
        return f"{self.per_second:7.0f}/s   p50 {self.p50:6.1f} ms   p99 {self.p99:6.1f} ms   {self.answers} answers"


def post(port: int, path: str, prepared: list[tuple[bytes, dict[str, str]]], *, threads: int) -> Measured:
    """Posts every prepared request once, from `threads` connections in another process."""
    work = {
        "port": port,
        "path": path,
        "threads": threads,
        "requests": [[body.decode(), headers] for body, headers in prepared],
    }
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"], input=json.dumps(work), capture_output=True, text=True, check=True
    )
    return Measured(**json.loads(ran.stdout))


def _generate(work: dict[str, object]) -> Measured:
    requests = iter([(body.encode(), headers) for body, headers in work["requests"]])  # type: ignore[attr-defined]
    lock, taken, others = threading.Lock(), [], []

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(str(work["port"])), timeout=60)
        while True:
            with lock:
                one = next(requests, None)
            if one is None:
                return
            started = time.perf_counter()
            connection.request("POST", str(work["path"]), one[0], one[1])
            answer = connection.getresponse()
            answer.read()
            (taken if answer.status == 200 else others).append(time.perf_counter() - started)

    started = time.perf_counter()
    senders = [threading.Thread(target=send) for _ in range(int(str(work["threads"])))]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    elapsed = time.perf_counter() - started
    ordered = sorted(taken) or [float("nan")]
    return Measured(
        per_second=len(taken) / elapsed,
        p50=1000 * ordered[len(ordered) // 2],
        p99=1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        answers=len(taken),
        others=len(others),
    )


if __name__ == "__main__":
    print(json.dumps(vars(_generate(json.load(sys.stdin)))))
