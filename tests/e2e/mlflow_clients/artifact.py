"""Uploads a large file as an artifact and fetches it again. Prints how long each took."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from mlflow import MlflowClient


def main() -> None:
    size, client = int(sys.argv[1]), MlflowClient()
    run = client.create_run(client.create_experiment("Large files")).info
    with tempfile.TemporaryDirectory() as directory:
        large = Path(directory) / "large.bin"
        with large.open("wb") as file:
            # A hole in the file takes no room on the disk.
            file.truncate(size - 4)
            file.seek(0, os.SEEK_END)
            file.write(b"last")
        began = time.monotonic()
        client.log_artifact(run.run_id, str(large))
        sent = time.monotonic()
        large.unlink()
        found = Path(mlflow.artifacts.download_artifacts(f"runs:/{run.run_id}/large.bin", dst_path=directory))
        fetched = time.monotonic()
        with found.open("rb") as file:
            file.seek(-4, os.SEEK_END)
            assert (found.stat().st_size, file.read()) == (size, b"last")
    print(json.dumps({"upload_seconds": sent - began, "download_seconds": fetched - sent}))


if __name__ == "__main__":
    main()
