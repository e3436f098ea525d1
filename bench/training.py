"""Asks the service and the gateway what they are asked most, so that a build that counts sees what it is used for.

    python3 bench/training.py --program PROGRAM [--seconds 2]

It needs `nginx`, `openssl` and `wrk`, and uses ports of this machine alone. `./release` calls it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

from gateway import CONNECTIONS, REQUESTS, SHAPES, UPSTREAM, answers, create_keys, gateway, nginx, service
from wrk import free_port, load

CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-subj", "/CN=localhost", "-days", "2"]
VALIDATION = {"service_id": "prediction", "required_scope": "predict", "client_ip": "192.0.2.7"}
USAGE = {"service_id": "prediction", "endpoint": "/predict", "status_code": 200, "response_time_ms": 48.2}

# What the service is asked with each key, and by an operator.
SERVICE = """
local keys = {{ {keys} }}
local requests, next = {{}}, 0
function init()
    for number, key in ipairs(keys) do
        local headers = {{ ["X-API-Key"] = key, ["Content-Type"] = "application/json" }}
        requests[number] = wrk.format("POST", "/api/v1/keys/validate", headers, [[{validation}]])
    end
    local operator = {{ ["Authorization"] = "Bearer {token}", ["Content-Type"] = "application/json" }}
    requests[#requests + 1] = wrk.format("GET", "/api/v1/keys?limit=20", operator)
    requests[#requests + 1] = wrk.format("POST", "/api/v1/usage/batch", operator, [[{usage}]])
end
function request()
    next = next % #requests + 1
    return requests[next]
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--seconds", type=int, default=2)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream, api = free_port(), free_port()
        stack.enter_context(nginx(folder / "upstream", UPSTREAM, port=upstream, answers=answers()))
        home = folder / "home"
        token = stack.enter_context(service(args.program, home, api))
        keys = create_keys(api, token)
        quoted = ", ".join(f'"{key}"' for key in keys)
        script = folder / "requests.lua"

        operator = {"Authorization": f"Bearer {token}"}
        listed = Request(f"http://127.0.0.1:{api}/api/v1/keys?limit=1", headers=operator)
        with urlopen(listed) as answer:
            key_id = json.load(answer)[0]["key_id"]
        usage = {"records": [USAGE | {"key_id": key_id}] * 20}
        validation = json.dumps(VALIDATION)
        script.write_text(SERVICE.format(keys=quoted, validation=validation, token=token, usage=json.dumps(usage)))
        print("the service", load(api, script, args.seconds, CONNECTIONS), flush=True)

        certificate, key = folder / "tls.crt", folder / "tls.key"
        subprocess.run([*CERTIFICATE, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        tls = ("--tls-certificate", str(certificate), "--tls-key", str(key), "--log-format", "json")
        for scheme, options in (("http", ()), ("https", tls)):
            port = free_port()
            stack.enter_context(
                gateway(args.program, folder / f"gateway-{scheme}", home, *options,
                        port=port, service=api, upstream=upstream)
            )
            for shape, (body, answer) in SHAPES.items():
                script.write_text(REQUESTS.format(keys=quoted, body=body, answer=answer))
                print(scheme, shape, load(port, script, args.seconds, CONNECTIONS, scheme), flush=True)


if __name__ == "__main__":
    main()
