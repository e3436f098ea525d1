"""Logs what there is to see on the web pages: a run with a curve, and a registered model. Prints their names."""

import json

import mlflow
from mlflow import MlflowClient

NAME = "Seen on a screen"


def main() -> None:
    experiment = mlflow.set_experiment(NAME).experiment_id
    with mlflow.start_run() as run:
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
    MlflowClient().create_registered_model(NAME)
    print(json.dumps({"experiment": experiment, "run": run.info.run_id, "name": NAME}))


if __name__ == "__main__":
    main()
