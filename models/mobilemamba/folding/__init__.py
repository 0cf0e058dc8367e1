"""The network in the form that is exported: the same function with fewer and cheaper operations.

Trained weights are folded where the algebra allows, and the maps are laid out as ONNX Runtime's CPU kernels like
them. Nothing here is trained; every part can be turned back, which `from_artifact` does.
"""
