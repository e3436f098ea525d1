"""MLflow with its files in an object store: the parts of a large one go there directly, to addresses that MLflow
gives through the gateway."""

from __future__ import annotations

import re
from pathlib import Path

import requests
from conftest import Start
from test_mlflow import Gateway
from tracking import Server, TrackingServer, client

MIB = 1024**2
ACCOUNT = {"AWS_ACCESS_KEY_ID": "of-this-test", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}
# The least that an object store takes as a part.
PART = 5 * MIB
IN_PARTS = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(PART),
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(PART),
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true",
    "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": str(PART),
    "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(PART),
}


def test_a_large_artifact_goes_in_parts_and_comes_back(start: Start, tmp_path: Path) -> None:
    store = Server(tmp_path, "moto.server", healthy="/moto-api/")
    try:
        assert requests.put(f"{store.url}/artifacts", timeout=30).ok
        tracking = TrackingServer(tmp_path, "s3://artifacts", MLFLOW_S3_ENDPOINT_URL=store.url, **ACCOUNT)
        try:
            gateway = Gateway(start, tracking, tmp_path)
            client("artifact.py", gateway.url, gateway.key("mlflow:access"), str(12 * MIB), **IN_PARTS)
        finally:
            tracking.stop()
        parts = set(re.findall(r"PUT /artifacts/\S+/large\.bin\?\S*partNumber=(\d)", store.output))
        assert parts == {"1", "2", "3"}, store.output
        fetched = [line for line in store.output.splitlines() if "GET /artifacts/" in line and " 206 " in line]
        assert len(fetched) == 3 and all("X-Amz-Signature=" in line for line in fetched), store.output
    finally:
        store.stop()
