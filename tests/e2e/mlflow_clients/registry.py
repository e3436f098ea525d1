"""Looks at a registered model, and makes others. Prints what it saw."""

import json
import sys

from mlflow import MlflowClient


def main() -> None:
    client, name = MlflowClient(), sys.argv[1]
    found = client.get_registered_model(name)
    versions = [int(version.version) for version in client.search_model_versions(f'name = "{name}"')]
    client.create_registered_model("churn")
    client.create_registered_model("A churner", tags={"model_type": "churn"})
    client.register_prompt("a_prompt", "Hello, {{ name }}.")
    print(json.dumps(found.tags | {"versions": sorted(versions)}))


if __name__ == "__main__":
    main()
