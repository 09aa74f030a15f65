"""G.pt in PyTorch: the same model, diffusion and files as the command `corpus train`."""

from .configuration import Configuration, ModelConfiguration, TrainingConfiguration
from .diffusion import Diffusion
from .model import GPT

__all__ = ["GPT", "Configuration", "Diffusion", "ModelConfiguration", "TrainingConfiguration"]
