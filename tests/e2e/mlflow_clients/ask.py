"""Asks for something a number of times, and prints how long each took."""

import json
import sys
import time

from mlflow import MlflowClient


def main() -> None:
    client, took = MlflowClient(), []
    for _ in range(int(sys.argv[1])):
        began = time.monotonic()
        client.search_experiments()
        took.append(time.monotonic() - began)
    print(json.dumps({"took": took}))


if __name__ == "__main__":
    main()
