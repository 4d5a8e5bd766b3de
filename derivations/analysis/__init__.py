"""Exact analysis of activations: where the assumptions hold, the constants, inverses in closed form."""
