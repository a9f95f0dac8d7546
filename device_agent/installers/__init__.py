"""Installers: how a version gets onto a kind of device. One small protocol, one module a kind."""

from device_agent.installers.base import Answer, Installer, Model

__all__ = ["Answer", "Installer", "Model"]
