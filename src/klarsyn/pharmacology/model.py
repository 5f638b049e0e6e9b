"""Published kinetic models: `read_model` one of the library or a file, `models` lists them."""

from klarsyn.pharmacology.modelfile import models, read_model
from klarsyn.pharmacology.modelrecord import (
    DEFAULT_WEIGHT,
    CovariateEffect,
    Input,
    Model,
    Output,
    Parameter,
    Part,
    Uncertain,
    Variability,
)

__all__ = [
    "DEFAULT_WEIGHT",
    "CovariateEffect",
    "Input",
    "Model",
    "Output",
    "Parameter",
    "Part",
    "Uncertain",
    "Variability",
    "models",
    "read_model",
]
