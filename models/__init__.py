"""The model zoo: a folder a model, with its recipe and model card."""
