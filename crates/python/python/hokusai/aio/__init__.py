"""The clients for asyncio. What they are told, answer and raise is the same as for those in `hokusai`."""

from hokusai.aio._admin import AuthAdmin
from hokusai.aio._client import HokusaiClient, ModelRegistry

__all__ = ["AuthAdmin", "HokusaiClient", "ModelRegistry"]
