"""The dense engine, as the flows see it: one module."""

from functools import partial

from tests.toy_engine.hw.dense import Dense
from tests.toy_engine.hw.params import DenseParams, Space, StallClass
from zeroskip.flow.flow import Flow, Modules

__all__ = ["FLOW"]


class _Dense(Flow[DenseParams]):
    engine = "dense"
    enums = (Space, StallClass)

    def modules(self, params: DenseParams) -> Modules:
        return {"dense": partial(Dense, params)}


FLOW = _Dense()
"""What the entry point names."""
