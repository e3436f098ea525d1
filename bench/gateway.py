"""Measures the processor time of a request through the gateway, in turns with nginx as a plain proxy.

All stand before the same upstream, with kept connections and a line of log for each request. nginx checks
nothing; it runs once with one worker, and once with one for each processor, as the gateway does where it may use
all of them. The gateway checks the key, counts the request against the key's limit, and reports its usage.

    python3 bench/gateway.py [--program target/release/hokusai] [--seconds 3] [--turns 5]

It needs `nginx` and `wrk`, and uses ports of this machine alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from wrk import free_port, load

# A key passes 100,000 times an hour at the most.
KEYS = 40
CONNECTIONS = 32
# Seconds. Usage is reported within one; what is still to come then comes at once.
AFTERWARDS = 2.0
# By how many workers. The first is nginx's own default; many systems set the second.
PROXIES = {"nginx": "1", "nginx auto": "auto"}
# The bytes of a request's body and of its answer's. Models are mostly asked by POST, with JSON or an image.
SHAPES = {
    "GET": (0, 100),
    "POST 2 KiB": (2 * 1024, 1024),
    "POST 16 KiB": (16 * 1024, 1024),
    "POST 128 KiB": (128 * 1024, 1024),
}

UPSTREAM = """
daemon off; user root; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 1g; client_body_buffer_size 1m;
    server {{ listen 127.0.0.1:{port}; {answers} }}
}}
"""

PROXY = """
daemon off; user root; worker_processes {workers}; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; client_max_body_size 1g;
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
local body, answer = {body}, {answer}
local requests, next = {{}}, 0
function init()
    for number, key in ipairs(keys) do
        local method = body > 0 and "POST" or "GET"
        local headers = {{ ["X-API-Key"] = key, ["Content-Type"] = "application/json" }}
        local text = body > 0 and string.rep("x", body) or nil
        requests[number] = wrk.format(method, "/predict/" .. answer, headers, text)
    end
end
function request()
    next = next % #requests + 1
    return requests[next]
end
"""


@contextmanager
def process(command: list[str], log: Path, port: int) -> Iterator[int]:
    """Runs a program until it is no longer needed; gives its id once it listens."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HOKUSAI_")}
    # Debian has nginx where only root looks.
    own["PATH"] = own.get("PATH", "") + ":/usr/sbin"
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=own)
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


def wait_for(path: Path) -> None:
    for _ in range(200):
        if path.exists():
            return
        time.sleep(0.05)
    raise SystemExit(f"there is no {path}")


def nginx(folder: Path, text: str, *, port: int, **values: object) -> AbstractContextManager[int]:
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(text.format(folder=folder, port=port, **values))
    return process(["nginx", "-c", str(config), "-e", str(folder / "error.log")], folder / "log", port)


def answers() -> str:
    """Locations of the upstream, each with an answer of its size."""
    sizes = {answer for _, answer in SHAPES.values()}
    return "".join(f'location /predict/{size} {{ return 200 "{"x" * size}"; }} ' for size in sizes)


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


@contextmanager
def service(program: str, home: Path, port: int) -> Iterator[str]:
    """Runs the service; gives its operator's token."""
    dev = [program, "dev", "--dir", str(home), "--listen", f"127.0.0.1:{port}",
           "--gateway-listen", f"127.0.0.1:{free_port()}"]
    with process(dev, home.with_suffix(".log"), port):
        # It listens a moment before all is there.
        wait_for(home / "api-key")
        yield (home / "admin-token").read_text().strip()


def gateway(
    program: str, folder: Path, home: Path, *options: str, port: int, service: int, upstream: int
) -> AbstractContextManager[int]:
    """Runs a gateway with a folder of its own, between the service, whose home that is, and an upstream."""
    folder.mkdir()
    config = folder / "hokusai.toml"
    config.write_text(ROUTES.format(upstream=upstream))
    command = [program, "gateway", "--config", str(config), "--listen", f"127.0.0.1:{port}",
               "--auth-service", f"http://127.0.0.1:{service}", "--journal", str(folder / "journal"),
               "--service-token-file", str(home / "service-token"), *options]
    return process(command, folder / "log", port)


def spent(pid: int, port: int, script: Path, seconds: int) -> float:
    """Microseconds of processor time for each request of one turn, with what is done about them afterwards."""
    before = processor_time(pid)
    requests, _ = load(port, script, seconds, CONNECTIONS)
    time.sleep(AFTERWARDS)
    return (processor_time(pid) - before) / requests * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/hokusai")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: free_port() for name in ("upstream", *PROXIES, "service", "gateway")}
        stack.enter_context(nginx(folder / "upstream", UPSTREAM, port=ports["upstream"], answers=answers()))
        pids = {}
        for name, workers in PROXIES.items():
            plain = nginx(folder / f"nginx-{workers}", PROXY, port=ports[name], upstream=ports["upstream"],
                          workers=workers)
            pids[name] = stack.enter_context(plain)
        home = folder / "home"
        token = stack.enter_context(service(args.program, home, ports["service"]))
        pids["gateway"] = stack.enter_context(
            gateway(args.program, folder / "gateway", home,
                    port=ports["gateway"], service=ports["service"], upstream=ports["upstream"])
        )
        keys = ", ".join(f'"{key}"' for key in create_keys(ports["service"], token))
        print(f"{'':14} {'processor time of a request':>56}    efficiency next to each nginx")
        for shape, (body, answer) in SHAPES.items():
            script = folder / "requests.lua"
            script.write_text(REQUESTS.format(keys=keys, body=body, answer=answer))
            for name in pids:
                load(ports[name], script, 1, CONNECTIONS)
            turns = []
            for _ in range(args.turns):
                order = random.sample(list(pids), len(pids))
                turns.append({name: spent(pids[name], ports[name], script, args.seconds) for name in order})
            took = (f"{name} {statistics.median(turn[name] for turn in turns):6.1f} µs" for name in pids)
            shares = ([turn[name] / turn["gateway"] for turn in turns] for name in PROXIES)
            efficiency = (f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in shares)
            print(f"{shape:14} {', '.join(took)}    {', '.join(efficiency)}", flush=True)


if __name__ == "__main__":
    main()
