"""Measures the processor time of a request through the gateway, in turns with nginx as a plain proxy.

Both stand before the same upstream, with kept connections and a line of log for each request. nginx checks
nothing. The gateway checks the key, counts the request against the key's limit, and reports its usage.

    python3 bench/gateway.py [--program target/release/hokusai] [--seconds 8] [--turns 3]

It needs `nginx` and `wrk`, and uses ports of this machine alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

# A key passes 100,000 times an hour at the most.
KEYS = 40
CONNECTIONS = "32"

UPSTREAM = """
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "a small answer\\n"; }} }}
}}
"""

PROXY = """
daemon off; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied;
    upstream behind {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""

ROUTES = """
[[gateway.routes]]
prefix = "/predict"
upstream = "http://127.0.0.1:{upstream}"
scope = "predict"
max_connections = 64
"""

REQUESTS = """
local keys = {{ {keys} }}
local requests, next = {{}}, 0
function init()
    for number, key in ipairs(keys) do
        requests[number] = wrk.format("GET", "/predict/now", {{ ["X-API-Key"] = key }})
    end
end
function request()
    next = next % #requests + 1
    return requests[next]
end
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def process(command: list[str], log: Path, port: int) -> Iterator[int]:
    """Runs a program until it is no longer needed; gives its id once it listens."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if child.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    yield child.pid
                    return
            time.sleep(0.05)
        raise SystemExit(f"{command[0]} does not listen: {log.read_text()[-2000:]}")
    finally:
        child.terminate()
        child.wait()


def nginx(folder: Path, text: str, **ports: int) -> AbstractContextManager[int]:
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(text.format(folder=folder, **ports))
    return process(["nginx", "-c", str(config), "-e", str(folder / "error.log")], folder / "log", ports["port"])


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def processor_time(pid: int) -> float:
    """Seconds that a process and its children had so far."""
    ticks = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(port: int, script: Path, seconds: int) -> int:
    """How many requests were answered; all have to be answered well."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    found = re.search(r"(\d+) requests in", said)
    assert found, said
    return int(found[1])


def create_keys(service: int, token: str) -> list[str]:
    keys = []
    for number in range(KEYS):
        wish = {"name": f"key {number}", "service_id": "prediction", "scopes": ["predict"],
                "rate_limit_per_hour": 100_000}
        request = urllib.request.Request(
            f"http://127.0.0.1:{service}/api/v1/keys", json.dumps(wish).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            keys.append(json.load(answer)["api_key"])
    return keys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/hokusai")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: free_port() for name in ("upstream", "nginx", "service", "unused", "gateway")}
        stack.enter_context(nginx(folder / "upstream", UPSTREAM, port=ports["upstream"]))
        plain = nginx(folder / "nginx", PROXY, port=ports["nginx"], upstream=ports["upstream"])
        pids = {"nginx": stack.enter_context(plain)}
        home = folder / "home"
        dev = [args.program, "dev", "--dir", str(home), "--listen", f"127.0.0.1:{ports['service']}",
               "--gateway-listen", f"127.0.0.1:{ports['unused']}"]
        stack.enter_context(process(dev, folder / "service.log", ports["service"]))
        # It listens a moment before all is there.
        while not (home / "api-key").exists():
            time.sleep(0.05)
        token = (home / "admin-token").read_text().strip()
        config = folder / "hokusai.toml"
        config.write_text(ROUTES.format(upstream=ports["upstream"]))
        gateway = [args.program, "gateway", "--config", str(config), "--listen", f"127.0.0.1:{ports['gateway']}",
                   "--auth-service", f"http://127.0.0.1:{ports['service']}", "--journal", str(folder / "journal"),
                   "--service-token-file", str(home / "service-token")]
        pids["gateway"] = stack.enter_context(process(gateway, folder / "gateway.log", ports["gateway"]))
        script = folder / "requests.lua"
        keys = create_keys(ports["service"], token)
        script.write_text(REQUESTS.format(keys=", ".join(f'"{key}"' for key in keys)))
        for name in pids:
            load(ports[name], script, 2)
        spent = {name: [0.0, 0, 0.0] for name in pids}
        for _ in range(args.turns):
            for name, pid in pids.items():
                before, began = processor_time(pid), time.monotonic()
                requests = load(ports[name], script, args.seconds)
                spent[name][0] += processor_time(pid) - before
                spent[name][1] += requests
                spent[name][2] += time.monotonic() - began
    each = {}
    for name, (seconds, requests, time_taken) in spent.items():
        each[name] = seconds / requests * 1e6
        print(f"{name}: {each[name]:.1f} µs of processor time for each of {requests} requests, "
              f"{requests / time_taken:.0f} requests a second")
    print(f"efficiency of the gateway next to nginx: {each['nginx'] / each['gateway']:.2f}")


if __name__ == "__main__":
    main()
