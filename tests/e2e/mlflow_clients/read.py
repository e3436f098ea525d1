"""Reads what `write.py` wrote, and tries to change it. Prints how many calls read, and how each change ended."""

import json
import os
import sys
import tempfile

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException


def read(client: MlflowClient, experiment: str, run: str, trace: str, name: str) -> None:
    assert client.get_experiment(experiment).name == "An experiment: 100% & more"
    assert [found.experiment_id for found in client.search_experiments(filter_string="name LIKE 'An%'")] == [experiment]
    found = client.search_runs([experiment], "params.depth = '3' AND metrics.loss < 0.5")
    assert [found.info.run_id for found in found] == [run]
    assert len(client.get_run(run).data.metrics) == 501
    assert [metric.step for metric in client.get_metric_history(run, "loss")] == [0, 1, 2, 3, 4]
    assert mlflow.artifacts.load_text(f"runs:/{run}/notes/of today.txt") == "Hello."
    assert {file.path for file in client.list_artifacts(run, "several")} == {f"several/{n}.txt" for n in range(3)}
    with tempfile.TemporaryDirectory() as directory:
        assert len(os.listdir(client.download_artifacts(run, "several", directory))) == 3
    traces = client.search_traces(locations=[experiment])
    assert [found.info.trace_id for found in traces] == [trace]
    assert client.get_trace(trace).data.spans[0].name == "an answer"
    assert client.get_registered_model(name).tags == {"model_type": "lead_scoring"}
    assert [model.name for model in client.search_registered_models("name LIKE 'Lead%'")] == [name]
    assert {version.version for version in client.search_model_versions(f"name = '{name}'")} == {"1", "2"}
    assert client.get_model_version_by_alias(name, "champion").version == "1"
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    assert model.predict(["a", "bcd"]) == [1, 3]


def span_of_opentelemetry(experiment: str) -> None:
    """What an exporter of OpenTelemetry sends; its own library would repeat what is refused."""
    answer = requests.post(
        f"{os.environ['MLFLOW_TRACKING_URI']}/v1/traces",
        headers={
            "Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}",
            "Content-Type": "application/json",
            "x-mlflow-experiment-id": experiment,
        },
        json={"resourceSpans": []},
        timeout=30,
    )
    if answer.status_code == 403:
        raise MlflowException(answer.json()["message"])


def changes(client: MlflowClient, experiment: str, run: str, trace: str, name: str) -> dict:
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        file.write("no")
    return {
        "create_experiment": lambda: client.create_experiment("another"),
        "rename_experiment": lambda: client.rename_experiment(experiment, "another"),
        "delete_experiment": lambda: client.delete_experiment(experiment),
        "set_experiment_tag": lambda: client.set_experiment_tag(experiment, "a", "b"),
        "create_run": lambda: client.create_run(experiment),
        "update_run": lambda: client.update_run(run, "FAILED"),
        "delete_run": lambda: client.delete_run(run),
        "log_metric": lambda: client.log_metric(run, "a", 1),
        "log_param": lambda: client.log_param(run, "a", 1),
        "log_batch": lambda: client.log_batch(run, [Metric("a", 1, 0, 0)]),
        "set_tag": lambda: client.set_tag(run, "a", "b"),
        "delete_tag": lambda: client.delete_tag(run, "team"),
        "log_artifact": lambda: client.log_artifact(run, file.name),
        "set_trace_tag": lambda: client.set_trace_tag(trace, "a", "b"),
        "delete_traces": lambda: client.delete_traces(experiment, trace_ids=[trace]),
        "log_feedback": lambda: mlflow.log_feedback(trace_id=trace, name="a", value=1),
        "send_span": lambda: span_of_opentelemetry(experiment),
        "create_logged_model": lambda: client.create_logged_model(experiment),
        "create_registered_model": lambda: client.create_registered_model("another"),
        "rename_registered_model": lambda: client.rename_registered_model(name, "another"),
        "update_registered_model": lambda: client.update_registered_model(name, "another"),
        "delete_registered_model": lambda: client.delete_registered_model(name),
        "set_registered_model_tag": lambda: client.set_registered_model_tag(name, "a", "b"),
        "set_alias": lambda: client.set_registered_model_alias(name, "champion", "2"),
        "delete_alias": lambda: client.delete_registered_model_alias(name, "champion"),
        "create_model_version": lambda: client.create_model_version(name, f"runs:/{run}/model", run),
        "update_model_version": lambda: client.update_model_version(name, "1", "another"),
        "transition_stage": lambda: client.transition_model_version_stage(name, "1", "Production"),
        "delete_model_version": lambda: client.delete_model_version(name, "1"),
        "create_webhook": lambda: client.create_webhook("a", "https://example.com", ["model_version.created"]),
    }


def outcome(change) -> str:
    try:
        change()
    except Exception as error:  # noqa: BLE001: whatever it is, it is shown.
        return str(error)
    return "done"


def main() -> None:
    client, known = MlflowClient(), json.loads(sys.argv[1])
    arguments = known["experiment"], known["run"], known["trace"], known["name"]
    read(client, *arguments)
    outcomes = {name: outcome(change) for name, change in changes(client, *arguments).items()}
    # Nothing came of it.
    read(client, *arguments)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
