"""From a trained model to bundles: quantize, compile, evaluate, gate."""
