"""The gateway's models, by an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hokusai import _native
from hokusai._asking import ask_async, given, text
from hokusai._records import Listing, listing
from hokusai.auth import TIMEOUT, HokusaiAuth, validated, validation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hokusai.keys import ValidatedKey
    from hokusai.models import Model, ModelVersion

# What describes answers is slow to import, and needed when there is one.


class HokusaiClient:
    """The platform, asked with an API key.

    Where key and URLs come from if they are not given is told by HokusaiAuth. `timeout` is in seconds and for
    one attempt; what reads is tried up to three times.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_endpoint: str | None = None,
        auth_service_url: str | None = None,
        *,
        auth: HokusaiAuth | None = None,
        profile: str | None = None,
        timeout: float = TIMEOUT,
        allow_plain_http: bool = False,
    ) -> None:
        self._auth = auth or HokusaiAuth(api_key, api_endpoint, auth_service_url, profile=profile)
        self._timeout, self._allow_plain_http = timeout, allow_plain_http
        key = self._auth.api_key
        self._platform = _native.Remote(self._auth.api_endpoint, key, timeout, allow_plain_http)

    @property
    def auth(self) -> HokusaiAuth:
        """The key, and where it is used."""
        return self._auth

    async def list_models(
        self, model_type: str | None = None, *, tag: str | None = None, limit: int | None = None
    ) -> Listing[Model]:
        """Models by name: all of them, or the first `limit`; of one type, or with one tag, `key:value`."""
        from hokusai.models import Model

        fields = {"model_type": model_type, "tag": tag, "limit": limit}
        return listing(Model, await ask_async(self._platform, "platform.models", fields))

    async def get_model(self, name: str) -> Model:
        """A model with all of its versions, the latest first."""
        from hokusai.models import Model

        return Model._read(await ask_async(self._platform, "platform.model", {"name": text("name", name)}))

    async def register_model(
        self,
        name: str,
        model_type: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Model:
        """Adds a model to the catalogue. The key needs the scope `model:write`. A taken name is a ConflictError."""
        from hokusai.models import Model

        fields = given(name=text("name", name), model_type=model_type, description=description)
        if tags is not None:
            fields["tags"] = dict(tags)
        return Model._read(await ask_async(self._platform, "platform.create_model", fields))

    async def register_version(
        self,
        name: str,
        *,
        source: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Adds the next version to a model; `source` says where it lies. The key needs the scope `model:write`."""
        from hokusai.models import ModelVersion

        version = given(source=source, description=description)
        if tags is not None:
            version["tags"] = dict(tags)
        fields = {"name": text("name", name), "version": version}
        return ModelVersion._read(await ask_async(self._platform, "platform.create_model_version", fields))

    async def validate(
        self, *, service_id: str | None = None, required_scope: str | None = None
    ) -> ValidatedKey:
        """Asks the authentication service whether the key is good. It costs one request of the key's hour."""
        service = _native.Remote(self._auth.auth_service_url, None, self._timeout, self._allow_plain_http)
        question = validation(self._auth.api_key, service_id, required_scope, None)
        return validated(await ask_async(service, *question))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._auth.api_endpoint}>"


class ModelRegistry(HokusaiClient):
    """The catalogue of models, asked with an API key."""

    async def list_models_by_type(self, model_type: str) -> Listing[Model]:
        """All models of one type, by name."""
        return await self.list_models(text("model_type", model_type))
