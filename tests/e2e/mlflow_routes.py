"""Prints, as JSON, the routes that the installed MLflow server registers, and what its own basic authentication
asks for each. Run as a program: MLflow keeps what it imports for the rest of the process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

Route = tuple[str, str]


def flask_routes(rules: Iterable) -> Iterator[Route]:
    for rule in rules:
        path = re.sub(r"<path:\w+>", "{...}", rule.rule)
        path = re.sub(r"<\w+>", "{}", path)
        assert "<" not in path, f"a placeholder of another kind: {rule.rule}"
        yield from ((method, path) for method in rule.methods)


def fastapi_routes(routes: Iterable, prefix: str = "") -> Iterator[Route]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from fastapi_routes(route.original_router.routes, prefix + route.include_context.prefix)
        elif hasattr(route, "methods"):
            path = re.sub(r"\{\w+:path\}", "{...}", prefix + route.path)
            yield from ((method, re.sub(r"\{\w+\}", "{}", path)) for method in route.methods)
        else:
            # All that is left is handed to the other framework.
            assert (type(route).__name__, route.path) == ("Mount", ""), f"a route of another kind: {route}"


def graphql_fields() -> dict[str, list[str]]:
    from mlflow.server.graphql.graphql_schema_extensions import schema

    types = schema.graphql_schema
    assert types.subscription_type is None
    return {"query": list(types.query_type.fields), "mutation": list(types.mutation_type.fields)}


def own_checks() -> list[tuple[str, str, str]]:
    """What MLflow's own authentication does before a call: the names of its functions say it."""
    from mlflow.server import auth

    checks = []
    for (path, method), check in auth.BEFORE_REQUEST_VALIDATORS.items():
        if check is not None:
            checks.append((method, re.sub(r"<\w+>", "{}", path), check.__name__))
    return checks


def main() -> None:
    from mlflow.server import app
    from mlflow.server.fastapi_app import app as asgi_app

    routes = {*flask_routes(app.url_map.iter_rules()), *fastapi_routes(asgi_app.routes)}
    answer = {"routes": sorted(routes), "graphql": graphql_fields(), "checks": own_checks()}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
