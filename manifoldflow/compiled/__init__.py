"""Compiled contractions, written once for every unit function and any number p of own parameters.

Numba compiles them on first use and keeps the result on disk. The pointwise functions of a unit arrive as function
pointers (`Pointwise`), so that a new formula compiles its own small file only.
"""
