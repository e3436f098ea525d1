"""Logs a run, traces and a model as people do, and reads all of it back. Prints what others look for."""

import json
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

NAME = "Lead scorer (EU)"


def main() -> None:
    client = MlflowClient()
    experiment = mlflow.set_experiment("An experiment: 100% & more").experiment_id
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        mlflow.log_params({"depth": 3, "rate": 0.1})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        metrics = [Metric(f"metric-{n}", n, 0, 0) for n in range(500)]
        client.log_batch(run_id, metrics, [Param("batched", "yes")], [RunTag("team", "growth")])
        mlflow.log_text("Hello.", "notes/of today.txt")
        logged = mlflow.pyfunc.log_model(
            name="model", python_model=lambda model_input: [len(row) for row in model_input], pip_requirements=[]
        )
        with mlflow.start_span("an answer") as span:
            span.set_inputs({"question": "?"})
        mlflow.flush_trace_async_logging()
    with tempfile.TemporaryDirectory() as directory:
        several = Path(directory) / "several"
        several.mkdir()
        for n in range(3):
            (several / f"{n}.txt").write_text(str(n))
        client.log_artifacts(run_id, str(several), "several")
    client.create_registered_model(NAME, tags={"model_type": "lead_scoring"}, description="Scores leads.")
    source = {"source": logged.model_uri, "run_id": run_id, "model_id": logged.model_id}
    version = client.create_model_version(NAME, **source).version
    client.create_model_version(NAME, **source, tags={"stage": "test"})
    client.set_registered_model_alias(NAME, "champion", version)
    client.set_model_version_tag(NAME, version, "reviewed", "yes")
    client.update_model_version(NAME, version, "The first.")
    assert len(client.get_metric_history(run_id, "loss")) == 5
    assert client.get_run(run_id).data.params == {"depth": "3", "rate": "0.1", "batched": "yes"}
    print(json.dumps({"experiment": experiment, "run": run_id, "trace": span.trace_id, "name": NAME}))


if __name__ == "__main__":
    main()
